"""What runs in the child process that judges uploads: it reads requests from its standard input and answers on the output.

It is started with three open files and knows nothing else: no settings, no credentials, no database, no bucket. What is
uploaded is read here and nowhere else in a worker, so that an upload which takes too much takes it from itself alone.
"""

import argparse
import contextlib
import ctypes
import errno
import io
import math
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from config.environment import Environment
from processing.checked.counting import count_messages
from processing.columns.results import Finding
from processing.verdicts.judge import judge, message_form_of
from processing.verdicts.requests import ANSWER, READY, REQUEST, Answer, Request
from processing.verdicts.terms import Rules, Verdict
from rules.templates import Language, Template

_MEGABYTE: Final = 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_OPEN_FILES: Final = 64


@dataclass(frozen=True, slots=True)
class Files:
    """Numbers of the open files: the original, and what a verdict writes, COPY text of the messages or a report."""

    source: int
    messages: int
    report: int


def child_main(arguments: Sequence[str] | None = None) -> None:
    """The whole life of the child: it ends when its input ends."""
    parser = argparse.ArgumentParser(description="Judges uploads for a worker, which starts it.")
    for name in ("parent", "source", "messages", "report", "memory", "output", "processor"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args(arguments)
    _end_with_parent(given.parent)
    files = Files(given.source, given.messages, given.report)
    _warm_up()
    _limit(given.memory, given.output)
    _answer(READY)
    for line in sys.stdin.buffer:
        _limit_processor(given.processor)
        _answer(ANSWER.dump_json(_judge(line, files)) + b"\n")


def _answer(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _end_with_parent(parent: int) -> None:
    """A stop is the parent's to answer, which lets a verdict come to its end; its death is this process's too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit(0)


def _warm_up() -> None:
    """Load the tables and libraries that only a first verdict loads."""
    rules = Rules(Template("-", {Language.ENGLISH: "{{a}}"}), Environment.PRODUCTION)
    upload = "recipient,language,a\n6591234567,english,a–b\n6591234567,english,陈\n1,x,\n".encode()
    judge(io.BytesIO(upload), rules, messages=io.BytesIO(), report=io.BytesIO())


def _limit(memory: int, output: int) -> None:
    """Limits, in megabytes, of the memory beyond what this process has now, and of each file that it writes."""
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _set_limit(resource.RLIMIT_FSIZE, output * _MEGABYTE)
    if sys.platform == "linux":
        # Where the machine or the unit runs out of memory, the kernel ends this process before any other of the worker's.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        # The address space would count what allocators only reserve. This counts what they could write to, which is more
        # than what they have written: the parent looks at that, and this is for what grows faster than it looks.
        pages = int(Path("/proc/self/statm").read_bytes().split()[5])
        most = pages * resource.getpagesize() + 2 * memory * _MEGABYTE
        _set_limit(resource.RLIMIT_DATA, most)


def _limit_processor(seconds: int) -> None:
    """Let the kernel end this process when it has used so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        # The kernel counts whole seconds: rounded down, what the start had used would be taken off.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def _set_limit(kind: int, most: int) -> None:
    """The hardened unit forbids the call: there the parent's watch is the limit, as it is for what the kernel doesn't know."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))


def _judge(line: bytes, files: Files) -> Answer:
    try:
        verdict = _judge_files(REQUEST.validate_json(line), files)
    except MemoryError:
        return Answer(excess="memory")
    except OSError as error:
        # Python turns the signal for a file over its limit into this error. A full disk is no upload's fault.
        return Answer(excess="output") if error.errno == errno.EFBIG else Answer(crash=_describe(error))
    except BaseException as error:  # noqa: BLE001 - a panic within polars is no Exception; the text may hold a row
        return Answer(crash=_describe(error))
    return Answer(verdict)


def _judge_files(request: Request, files: Files) -> Verdict:
    """The files are opened anew for each verdict: a reader from before would still hold bytes of the upload before."""
    for number in (files.source, files.messages, files.report):
        os.lseek(number, 0, os.SEEK_SET)
    with (
        os.fdopen(files.source, "rb", closefd=False) as source,
        os.fdopen(files.messages, "wb", closefd=False) as messages,
        os.fdopen(files.report, "wb", closefd=False) as report,
    ):
        findings: list[Finding] = []
        verdict = judge(
            source,
            request.rules,
            messages=messages,
            report=report,
            findings=findings.append if request.most_findings else None,
            most_findings=request.most_findings,
        )
    counts = None
    if request.with_counts and verdict.valid:
        with os.fdopen(files.messages, "rb", closefd=False) as written:
            counts = count_messages(written, message_form_of(request.rules))
    return replace(verdict, findings=tuple(findings), counts=counts)


def _describe(error: BaseException) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}" if place else "?"
    return f"{type(error).__name__} in {where}"


if __name__ == "__main__":
    child_main()
