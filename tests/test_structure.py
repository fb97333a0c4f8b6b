"""The shape of the source tree, as the house style asks for it: what a newcomer opens must be small and be named for what it
holds. A limit that only people watch is passed unseen."""

import ast
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parent.parent
MOST_LINES: Final = 400
MOST_MODULES: Final = 15
# A name that says nothing about what the module holds attracts whatever has no place yet. A compound may well say something:
# the service manager is what systemd calls itself.
EMPTY_NAMES: Final = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})
# Every package has `__main__.py` under this name, and it means the same in each.
EXPECTED_NAMES: Final = frozenset({"__init__", "__main__"})


def _modules() -> list[PurePosixPath]:
    """The project's Python files, as paths from its root: hidden folders hold environments and caches."""
    modules = [PurePosixPath(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")]
    own = [module for module in modules if not any(part.startswith(".") for part in module.parts)]
    assert len(own) > 200, "the project's modules were not found"
    return own


def _names(paths: Iterable[PurePosixPath]) -> list[str]:
    return sorted(map(str, paths))


def _length(module: PurePosixPath) -> int:
    return len((ROOT / module).read_text(encoding="utf-8").splitlines())


def test_no_module_is_longer_than_a_reader_keeps_in_mind() -> None:
    long = {str(module): length for module in _modules() if (length := _length(module)) > MOST_LINES}
    assert not long


def test_no_folder_is_a_heap_of_modules() -> None:
    counts = Counter(
        str(module.parent) for module in _modules() if module.name not in {"__init__.py", "conftest.py"}
    )
    heaps = {folder: count for folder, count in counts.items() if count > MOST_MODULES}
    assert not heaps


def test_no_module_or_package_hides_one_of_the_standard_library() -> None:
    named = {(module, module.stem) for module in _modules()} | {
        (module.parent, module.parent.name) for module in _modules() if module.parent.name
    }
    hiding = {path for path, name in named if name in sys.stdlib_module_names - EXPECTED_NAMES}
    assert not _names(hiding)


def test_module_names_say_what_the_module_holds() -> None:
    assert not _names(module for module in _modules() if module.stem in EMPTY_NAMES)


def test_a_package_file_is_a_docstring_and_nothing_else() -> None:
    """What a package needs to say is where things are; code there would run for everyone who imports one of its modules."""
    with_code = [
        module
        for module in _modules()
        if module.name == "__init__.py" and not _is_docstring(ast.parse((ROOT / module).read_bytes()).body)
    ]
    assert not _names(with_code)


def _is_docstring(body: list[ast.stmt]) -> bool:
    match body:
        case [ast.Expr(value=ast.Constant(value=str()))]:
            return True
        case _:
            return False
