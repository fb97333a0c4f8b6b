"""Transcripts of the docs, run as they stand: blocks behind `<!-- transcript -->`, whose commands begin with `$ `."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(r"<!-- transcript -->\n```console\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of the transcript and what it prints; `…` stands for anything, also for any number of lines."""

    command: str
    expected: str

    def pattern(self) -> str:
        parts = re.split(r"^…\n| ?… ?", squeezed(self.expected), flags=re.MULTILINE)
        return ".*".join(re.escape(part) for part in parts)


def squeezed(text: str) -> str:
    """`text` with each run of blanks as one, as tables pad their columns."""
    return "".join(re.sub(r" +", " ", line.strip()) + "\n" for line in text.splitlines())


def read_steps(page: Path, replacements: Mapping[str, str]) -> list[Step]:
    """The steps of a page, where the test's own ports and folders take the place of the page's."""
    text = page.read_text(encoding="utf-8")
    for shown, own in replacements.items():
        text = text.replace(shown, own)
    return list(_steps(text))


def _steps(text: str) -> Iterator[Step]:
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            yield Step(command, expected)


@contextmanager
def carried_out(steps: Sequence[Step], folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Type the steps into one shell, as an admin does, and check what each prints; what they began runs until the block's end."""
    # Each command's output ends with a line of ours.
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, env=variables, start_new_session=True,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        try:
            for step in steps:
                shell.stdin.write(f"{step.command}\necho '%%end%%'\n")
                shell.stdin.flush()
                printed = "".join(iter(shell.stdout.readline, "%%end%%\n"))
                assert re.fullmatch(step.pattern(), squeezed(printed), re.DOTALL), (
                    f"$ {step.command}\n{printed}"
                )
            yield
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            # Until the gateways that it started have drained and gone too.
            shell.stdout.read()
