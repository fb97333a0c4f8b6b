"""Names mutants, and shows them as differences. mutmut reads its settings from the folder in which this runs.

python -m tests.mutation.mutants list MODULE...
python -m tests.mutation.mutants show MUTANT...
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name


def list_mutants(modules: Sequence[str]) -> None:
    for path in map(Path, modules):
        for name in mutate_file_contents(str(path), path.read_text(encoding="utf-8")).mutant_names:
            print(get_mutant_name(path, name))


def show_mutants(names: Sequence[str]) -> None:
    for name in names:
        print(f"# {name}\n{get_diff_for_mutant(name, path=find_mutant(name).path)}\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["list", *modules]:
            list_mutants(modules)
        case ["show", *names]:
            show_mutants(names)
        case _:
            sys.exit(__doc__)
