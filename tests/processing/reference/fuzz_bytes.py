"""Random and mutated bytes through `processing.verdicts.judge.judge`: it never raises, and its memory stays within the bound.

The long form, `python -m tests.processing.reference.fuzz_bytes --runs N`, runs N small uploads and then worst-case shapes of just
under 30 MB, each in a process of its own whose memory is watched. `make test` runs a few of the small ones.
"""

import argparse
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import psutil

from config.environment import Environment
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules
from rules.templates import Language, Template
from tests.processing.builders import FOOTERS, GOOD_ROW, GUIDE_TEMPLATE, HEADER, generated_csv
from tests.processing.reference.gateway_verdict import assert_agree, run_judge
from tests.processing.reference.row_by_row import reference_verdict

MEGABYTE = 1024 * 1024
SIZE = 30 * MEGABYTE - 1
# Issue 3: what validation may add to an idle worker, in bytes, and how long a verdict may take, in seconds.
BOUND_WELL_FORMED = 250 * MEGABYTE
BOUND_WORST_CASE = 600 * MEGABYTE
LONGEST = 15.0
RULES = Rules(template=GUIDE_TEMPLATE, environment=Environment.PRODUCTION, footers=FOOTERS)
SHORTEST_HEADER = b"recipient,language\n"
SHORTEST_RULES = Rules(
    template=Template(header="Open Government Products", bodies={Language.ENGLISH: "The same to all"}),
    environment=Environment.PRODUCTION,
)
SEEDS = (
    f"{HEADER}\n{GOOD_ROW}\n".encode(),
    f'{HEADER}\r\n6591234567,chinese,"陈, ""大文""","a\r\nb"\r\n{GOOD_ROW}\r\n'.encode(),
    b"\xef\xbb\xbf" + f'{HEADER},,Error Reason\r{GOOD_ROW},,"x"\r,,,\r'.encode(),
    f"{HEADER}\n".encode() + b"+65,english,\xff[,\n\n  \n" + f"{GOOD_ROW}\n".encode() * 3,
)
SPLINTERS = (
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xe9\x99",
    b"\xef\xbb\xbf",
    b";",
    b"\t",
    b" ",
    b"Error Reason",
    b"[",
    "😀".encode(),
    "Ã©".encode(),
    "é™ˆ".encode(),
    "\u200b".encode(),
    b"&amp;",
    b"#N/A",
    b"<br>",
    b"|",
    b"Title\n",
)


def random_bytes(chance: random.Random) -> bytes:
    """Noise, noise of the characters that matter, or a good upload with bytes changed, cut, doubled or put in."""
    way = chance.randrange(4)
    if way == 0:
        return chance.randbytes(chance.randrange(400))
    if way == 1:
        return b"".join(chance.choices((*SPLINTERS, b"a", b"6591234567", b"english"), k=chance.randrange(60)))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice((0, 1, 1, 4, 30)))
        data[place:end] = chance.choice(
            (b"", chance.choice(SPLINTERS), bytes([chance.randrange(256)]), data[place:end] * 2)
        )
    return bytes(data)


def fuzz(runs: int, seed: int) -> None:
    """Judges `runs` uploads; raises with the seed and the run's number, so that a failure can be had again."""
    for run in range(runs):
        data = random_bytes(random.Random(seed * 1_000_003 + run))
        try:
            assert_agree(data, run_judge(data, RULES), reference_verdict(data, RULES))
        except Exception as error:
            raise AssertionError(f"seed {seed}, run {run}: {data!r}") from error


def filled(unit: bytes, *, before: bytes = f"{HEADER}\n".encode(), after: bytes = b"") -> bytes:
    """`unit` repeated between `before` and `after`, as often as the largest size allows."""
    return before + unit * ((SIZE - len(before) - len(after)) // len(unit)) + after


def whole_rows(rows: bytes) -> bytes:
    """A generated upload repeated to the largest size, cut at a row."""
    header, _, rest = rows.partition(b"\n")
    return header + b"\n" + rest * ((SIZE - len(header) - 1) // len(rest))


WELL_FORMED: dict[str, Callable[[], bytes]] = {
    "clean": lambda: whole_rows(generated_csv(20_000)),
    "quoted": lambda: whole_rows(generated_csv(20_000, every_field_quoted=True)),
    "line breaks": lambda: whole_rows(generated_csv(20_000, line_breaks=True)),
    "Chinese and Tamil": lambda: whole_rows(generated_csv(20_000, languages=("chinese", "english"))),
    "foreign": lambda: whole_rows(generated_csv(20_000, foreign=0.1)),
    "2 % bad": lambda: whole_rows(generated_csv(20_000, bad=0.02)),
    "short rows": lambda: filled(b"6591234567,english,a,b\n"),
    "shortest rows": lambda: filled(b"6591234567,english\n", before=SHORTEST_HEADER),
}
WORST_CASE: dict[str, Callable[[], bytes]] = {
    "every row bad": lambda: whole_rows(generated_csv(20_000, bad=1.0)),
    "one huge field": lambda: filled(b"x", before=f"{HEADER}\n6591234567,english,Amy,".encode()),
    "one huge quoted field": lambda: filled(
        b"x\n", before=f'{HEADER}\n6591234567,english,Amy,"'.encode(), after=b'"\n'
    ),
    "one huge recipient": lambda: filled(b"6", before=f"{HEADER}\n".encode(), after=b",english,Amy,tax\n"),
    "quotes": lambda: filled(b'"', before=b""),
    "quotes after a header": lambda: filled(b'"'),
    "pairs of quotes": lambda: filled(b'""\n'),
    "commas": lambda: filled(b",", before=b""),
    "commas after a header": lambda: filled(b","),
    "rows of commas": lambda: filled(b",,,\n"),
    "line ends": lambda: filled(b"\n", before=b""),
    "line ends after a header": lambda: filled(b"\n"),
    "carriage returns after a header": lambda: filled(b"\r"),
    "lines of a letter": lambda: filled(b"x\n"),
    "a million columns": lambda: filled(b"name,", before=b"recipient,language,recipient_name,topic,"),
    "short rows, 990 columns": lambda: filled(
        f"{GOOD_ROW}\n".encode(), before=f"{HEADER}{',' * 990}\n".encode()
    ),
    "short rows, 990 old reports": lambda: filled(
        b"6591234567,english,Amy,\xff\n", before=f"{HEADER}{',Error Reason' * 990}\n".encode()
    ),
    "a row of a million fields": lambda: filled(b"x,"),
    "one malformed quote": lambda: filled(
        f"{GOOD_ROW}\n".encode(), before=f'{HEADER}\n6591234567,english,"Amy"x,tax\n'.encode()
    ),
    "a malformed quote in every row": lambda: filled(b'6591234567,english,"Amy"x,tax\n'),
    "a quote never closed": lambda: filled(
        f"{GOOD_ROW}\n".encode(), before=f'{HEADER}\n6591234567,english,"Amy,tax\n'.encode()
    ),
    "not UTF-8": lambda: filled(b"\xff"),
    "rows that aren't UTF-8": lambda: filled(b"6591234567,english,Ren\xe9,tax\n"),
    "NUL": lambda: filled(b"\x00"),
    "spaces": lambda: filled(b" "),
    "noise": lambda: random.Random(1).randbytes(SIZE),
    "noise after a header": lambda: f"{HEADER}\n".encode() + random.Random(1).randbytes(SIZE - 100),
    "emoji": lambda: filled("6591234567,chinese,😀👩‍👩‍👧,é́\n".encode()),
}


SHAPES = WELL_FORMED | WORST_CASE


@dataclass(frozen=True, slots=True)
class Measured:
    """What judging one shape took: bytes of memory added to an idle process at the peak, seconds, seconds of processors.

    On a machine with other work to do the seconds tell more about that; those of processors are then the upper bound.
    """

    name: str
    added: int
    seconds: float
    processor_seconds: float
    answer: str

    @property
    def bound(self) -> int:
        return BOUND_WELL_FORMED if self.name in WELL_FORMED else BOUND_WORST_CASE

    @property
    def is_within(self) -> bool:
        return self.added <= self.bound and min(self.seconds, self.processor_seconds) <= LONGEST


def measure(name: str) -> Measured:
    """Judges one shape in a process of its own, looking at its memory every two milliseconds."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "upload.csv")
        path.write_bytes(SHAPES[name]())
        command = [sys.executable, "-m", "tests.processing.reference.fuzz_bytes", "--judge", str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdout.readline()  # it is idle now: all is imported, and one verdict made
            process = psutil.Process(child.pid)
            idle = peak = process.memory_info().rss
            spent, started = sum(process.cpu_times()[:2]), time.perf_counter()
            child.stdin.write("go\n")
            child.stdin.flush()
            while not select.select([child.stdout], [], [], 0.002)[0]:
                peak = max(peak, process.memory_info().rss)
            seconds = time.perf_counter() - started
            spent = sum(process.cpu_times()[:2]) - spent
            answer = child.stdout.readline().strip()
            peak = max(peak, process.memory_info().rss)
            child.stdin.close()
        if child.returncode != 0:
            raise AssertionError(f"the verdict on {name!r} ended with exit status {child.returncode}")
    return Measured(name, peak - idle, seconds, spent, answer)


def judge_when_told(path: Path) -> None:
    """The child of `measure`: says when it is idle, judges when told, says what came of it, and waits for its end."""
    run_judge(generated_csv(2_000, bad=0.1, foreign=0.1), RULES)
    print("idle", flush=True)
    sys.stdin.readline()
    with path.open("rb") as source, TemporaryFile() as messages, TemporaryFile() as report:
        rules = SHORTEST_RULES if source.read(len(SHORTEST_HEADER)) == SHORTEST_HEADER else RULES
        verdict = judge(source, rules, messages=messages, report=report)
    print("valid" if verdict.valid else f"{verdict.num_rows} rows, {verdict.num_errors} findings", flush=True)
    sys.stdin.readline()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="small uploads to judge")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="another seed, other uploads")
    parser.add_argument(
        "--shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES), help="of just under 30 MB"
    )
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.judge:
        judge_when_told(options.judge)
        return 0
    fuzz(options.runs, options.seed)
    print(
        f"{options.runs:,} small uploads with seed {options.seed}: none raised, all as the reference has them"
    )
    beyond = 0
    for name in options.shapes:
        measured = measure(name)
        beyond += not measured.is_within
        spent = f"{measured.seconds:6.2f} s, of processors {measured.processor_seconds:6.2f} s"
        memory = f"{measured.added / MEGABYTE:6.0f} MB of {measured.bound / MEGABYTE:.0f}"
        print(
            f"{name:32} {memory} {spent}  {measured.answer}",
            "" if measured.is_within else "BEYOND",
            flush=True,
        )
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
