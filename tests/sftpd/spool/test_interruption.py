"""Which uploads that end in a normal CLOSE look interrupted all the same, client by client."""

from collections.abc import Iterable

import pytest

from sftpd.spool.interruption import Suspicion, WriteTrace, find_suspicion

OPENSSH = 261_120
MEGABYTE = 1_000_000


def blocks(total: int, block: int) -> list[tuple[int, int]]:
    """Writes in order, the last one as long as what is left."""
    return [(start, min(block, total - start)) for start in range(0, total, block)]


def traced(writes: Iterable[tuple[int, int]]) -> WriteTrace:
    trace = WriteTrace()
    for offset, length in writes:
        trace.note(offset, length)
    return trace


CASES = [
    # What a whole upload of each client looks like.
    pytest.param(blocks(MEGABYTE, OPENSSH), MEGABYTE, None, None, id="OpenSSH, whole"),
    pytest.param(blocks(5_000, OPENSSH), 5_000, None, None, id="OpenSSH, one small write"),
    pytest.param(blocks(20_000, OPENSSH), 20_000, None, None, id="OpenSSH, one write above 16 KB"),
    pytest.param(
        blocks(900_000, 30_000),
        900_000,
        None,
        Suspicion.FULL_LAST_WRITE,
        id="curl, whole but 30,000 divides it",
    ),
    pytest.param(blocks(MEGABYTE + 1, 30_000), MEGABYTE + 1, None, None, id="curl, whole"),
    pytest.param(blocks(MEGABYTE, 32_768), MEGABYTE, None, None, id="paramiko or lftp, whole"),
    pytest.param(blocks(81_920, 4_096), 81_920, None, None, id="PuTTY: small writes are exempt"),
    pytest.param(blocks(16_384, 4_096), 16_384, None, None, id="PuTTY at a multiple of 16 KB"),
    pytest.param([], 0, None, None, id="empty: told as file_empty"),
    pytest.param(blocks(1_048_576, 32_768), 1_048_576, 1_048_576, None, id="WinSCP: announced size reached"),
    pytest.param(list(reversed(blocks(MEGABYTE, 32_768))), MEGABYTE, None, None, id="fastPut, out of order"),
    # What an interrupted one looks like.
    pytest.param(
        blocks(OPENSSH * 3, OPENSSH), OPENSSH * 3, None, Suspicion.BLOCK_MULTIPLE, id="OpenSSH, Ctrl-C"
    ),
    pytest.param(
        blocks(OPENSSH, OPENSSH), OPENSSH, None, Suspicion.BLOCK_MULTIPLE, id="OpenSSH, Ctrl-C at once"
    ),
    pytest.param(
        blocks(65_536 * 7, 30_000), 65_536 * 7, None, Suspicion.BLOCK_MULTIPLE, id="curl, --max-time"
    ),
    pytest.param(
        blocks(32_768 * 5, 32_768), 32_768 * 5, None, Suspicion.BLOCK_MULTIPLE, id="paramiko script dies"
    ),
    pytest.param(
        blocks(50_000 * 4, 50_000), 50_000 * 4, None, Suspicion.FULL_LAST_WRITE, id="script with odd blocks"
    ),
    pytest.param(
        blocks(700_000, 32_768), 700_000, MEGABYTE, Suspicion.SHORT, id="WinSCP: short of announced"
    ),
    pytest.param(blocks(700_000, 4_096), 700_000, MEGABYTE, Suspicion.SHORT, id="short, small writes too"),
    pytest.param(
        [(OPENSSH, OPENSSH), (0, OPENSSH), (2 * OPENSSH, 100), (2 * OPENSSH, OPENSSH)],
        3 * OPENSSH - 1,
        None,
        Suspicion.FULL_LAST_WRITE,
        id="the highest offset written twice, then truncated by a byte",
    ),
    # Edges.
    pytest.param(blocks(16_383 * 2, 16_383), 16_383 * 2, None, None, id="full last write just below 16 KB"),
    pytest.param(blocks(16_385 * 2, 16_385), 16_385 * 2, None, Suspicion.FULL_LAST_WRITE, id="just above"),
    pytest.param(blocks(16_384, 4_097), 16_384, None, Suspicion.BLOCK_MULTIPLE, id="one byte above PuTTY's"),
    pytest.param(
        [*blocks(OPENSSH * 2, OPENSSH), (OPENSSH * 2, 1)],
        OPENSSH * 2 + 1,
        None,
        None,
        id="an empty line added",
    ),
]


@pytest.mark.parametrize(("writes", "size", "announced", "expected"), CASES)
def test_the_end_tells_an_interrupted_upload(
    writes: list[tuple[int, int]], size: int, announced: int | None, expected: Suspicion | None
) -> None:
    assert find_suspicion(traced(writes), size=size, whole=True, announced=announced) is expected


@pytest.mark.parametrize("announced", [None, 100])
def test_a_hole_is_never_believed(announced: int | None) -> None:
    assert find_suspicion(traced([(50, 50)]), size=100, whole=False, announced=announced) is Suspicion.HOLE


def test_empty_writes_leave_no_trace() -> None:
    assert traced([(10, 0), (0, 0)]) == WriteTrace()
