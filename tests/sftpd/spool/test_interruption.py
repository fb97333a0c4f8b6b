"""Which uploads that end in a normal CLOSE look interrupted all the same, client by client and write by write."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sftpd.spool.interruption import (
    Suspicion,
    WriteTrace,
    ends_in_its_only_empty_line,
    find_suspicion,
    is_putty,
)

OPENSSH = 261_120
MEGABYTE = 1_000_000


def blocks(total: int, block: int) -> list[int]:
    """The lengths of writes in order, the last one as long as what is left."""
    return [min(block, total - start) for start in range(0, total, block)]


def traced(lengths: Sequence[int]) -> WriteTrace:
    trace = WriteTrace()
    for length in lengths:
        trace.note(length)
    return trace


CASES = [
    # What a whole upload of each client looks like.
    pytest.param(blocks(MEGABYTE, OPENSSH), MEGABYTE, None, None, id="OpenSSH, whole"),
    pytest.param(blocks(5_000, OPENSSH), 5_000, None, None, id="OpenSSH, one small write"),
    pytest.param(blocks(20_000, OPENSSH), 20_000, None, None, id="OpenSSH, one write above 16 KB"),
    pytest.param(blocks(MEGABYTE + 1, 30_000), MEGABYTE + 1, None, None, id="curl, whole"),
    pytest.param(
        blocks(900_000, 30_000), 900_000, None, Suspicion.ONE_LENGTH, id="curl, whole but 30,000 divides it"
    ),
    pytest.param(blocks(MEGABYTE, 32_768), MEGABYTE, None, None, id="paramiko or lftp, whole"),
    pytest.param([29, 20_472], 20_501, None, None, id="a script writes its header, then its body"),
    pytest.param([29, *blocks(20_472, 4_096)], 20_501, None, None, id="a stream in blocks after its header"),
    pytest.param([], 0, None, None, id="empty: told as file_empty"),
    pytest.param(blocks(1_048_576, 32_768), 1_048_576, 1_048_576, None, id="WinSCP: announced size reached"),
    pytest.param(blocks(MEGABYTE, 4_096), MEGABYTE, MEGABYTE - 1, None, id="the file grew while being sent"),
    pytest.param([25] * 4_000, 100_000, None, None, id="a script that writes rows of one length"),
    # A partial that another handle wrote.
    pytest.param([60_000], 160_000, None, None, id="resumed in one long write"),
    pytest.param([60_000, 100], 160_100, None, None, id="resumed in two writes"),
    pytest.param([50_000] * 2, 170_000, None, Suspicion.ONE_LENGTH, id="resumed and interrupted again"),
    pytest.param([30], 32_768, None, Suspicion.BLOCK_MULTIPLE, id="resumed, and ends at a block"),
    # What an interrupted one looks like.
    pytest.param(
        blocks(OPENSSH * 3, OPENSSH), OPENSSH * 3, None, Suspicion.BLOCK_MULTIPLE, id="OpenSSH, Ctrl-C"
    ),
    pytest.param(
        blocks(OPENSSH, OPENSSH), OPENSSH, None, Suspicion.BLOCK_MULTIPLE, id="OpenSSH, Ctrl-C at once"
    ),
    pytest.param([5_000] * 7, 35_000, None, Suspicion.ONE_LENGTH, id="sftp -B 5000, Ctrl-C"),
    pytest.param([10_000] * 2, 20_000, None, Suspicion.ONE_LENGTH, id="sftp -B 10000, Ctrl-C"),
    pytest.param([12_288] * 9, 110_592, None, Suspicion.ONE_LENGTH, id="sftp -B 12288, Ctrl-C"),
    pytest.param([8_192] * 3, 24_576, None, Suspicion.ONE_LENGTH, id="sftp -B 8192, Ctrl-C"),
    pytest.param([32_768], 32_768, None, Suspicion.BLOCK_MULTIPLE, id="sftp -B 32768, Ctrl-C at once"),
    pytest.param(
        blocks(65_536 * 7, 30_000), 65_536 * 7, None, Suspicion.BLOCK_MULTIPLE, id="curl, --max-time"
    ),
    pytest.param(
        blocks(32_768 * 5, 32_768), 32_768 * 5, None, Suspicion.BLOCK_MULTIPLE, id="paramiko script dies"
    ),
    pytest.param(
        blocks(700_000, 32_768), 700_000, MEGABYTE, Suspicion.SHORT, id="WinSCP: short of announced"
    ),
    pytest.param(blocks(700_000, 4_096), 700_000, MEGABYTE, Suspicion.SHORT, id="short, small writes too"),
    # Edges.
    pytest.param([4_095] * 2, 8_190, None, None, id="writes just below 4 KB"),
    pytest.param([4_096] * 2, 8_192, None, Suspicion.ONE_LENGTH, id="writes of 4 KB"),
    pytest.param([4_096], 4_096, None, None, id="one write of 4 KB"),
    pytest.param([*blocks(OPENSSH * 2, OPENSSH), 1], OPENSSH * 2 + 1, None, None, id="one byte more"),
    pytest.param([25] * 16_384, 409_600, None, Suspicion.BLOCK_MULTIPLE, id="rows that end at a block"),
]


@pytest.mark.parametrize(("lengths", "size", "announced", "expected"), CASES)
def test_the_writes_tell_an_interrupted_upload(
    lengths: list[int], size: int, announced: int | None, expected: Suspicion | None
) -> None:
    assert find_suspicion(traced(lengths), size=size, whole=True, announced=announced) is expected


LENGTHS = st.lists(
    st.one_of(st.sampled_from([0, 25, 4_095, 4_096, 8_192, 12_288, 16_384, OPENSSH]), st.integers(0, 40_000))
)


@given(
    LENGTHS,
    st.integers(0, 3) | st.integers(0, MEGABYTE),
    st.none() | st.integers(1, 2 * MEGABYTE),
    st.booleans(),
    st.booleans(),
)
@example([8_192] * 3, 0, None, True, False)
def test_the_rule_is_the_contracts(
    lengths: list[int], resumed_at: int, announced: int | None, whole: bool, by_putty: bool
) -> None:
    """The rule as 2-gateway.md §1 has it, sentence by sentence, over any sequence of writes."""
    size = resumed_at + sum(lengths)
    own = [length for length in lengths if length]
    is_short = announced is not None and size < announced
    is_multiple = size % 16_384 == 0 or size % 261_120 == 0
    has_one_length = len(own) >= 2 and len(set(own)) == 1 and own[0] >= 4_096
    is_exempt = by_putty or (announced is not None and size >= announced)
    suspicious = not whole or is_short or ((is_multiple or has_one_length) and not is_exempt)
    found = find_suspicion(traced(lengths), size=size, whole=whole, announced=announced, by_putty=by_putty)
    # An empty upload has a code of its own, file_empty.
    assert (found is not None) == (suspicious and (size > 0 or not whole or is_short))


@pytest.mark.parametrize("announced", [None, 100])
@pytest.mark.parametrize("by_putty", [False, True])
def test_a_hole_is_never_believed(announced: int | None, by_putty: bool) -> None:
    found = find_suspicion(traced([50]), size=100, whole=False, announced=announced, by_putty=by_putty)
    assert found is Suspicion.HOLE


def test_putty_is_exempt_but_for_a_hole_and_a_short_size() -> None:
    trace = traced([4_096] * 4)
    assert find_suspicion(trace, size=16_384, whole=True, announced=None, by_putty=True) is None
    assert find_suspicion(trace, size=16_384, whole=True, announced=16_385, by_putty=True) is Suspicion.SHORT


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("SSH-2.0-PuTTY_Release_0.78", True),
        ("SSH-2.0-PuTTY_Snapshot_2025_01_01.abc", True),
        ("SSH-2.0-OpenSSH_9.2p1 PuTTY", False),
        ("SSH-2.0-WinSCP_release_6.3.5", False),
        ("", False),
    ],
)
def test_putty_is_known_by_its_version_string(version: str, expected: bool) -> None:
    assert is_putty(version) is expected


EMPTY_LINES = [
    (b"a\nb\n\n", True),
    (b"a\r\nb\r\n\r\n", True),
    (b"a\nb\n\r\n", True),
    (b"a\nb\n", False),
    (b"a\nb", False),
    (b"", False),
    (b"a\nb\n\nc\n", False),
    (b"a\nb\n\nc\n\n", False),
    (b"a\n\nb\n\n", False),
    (b"a\r\n\r\nb\r\n\r\n", False),
    (b"a\nb\n\n\n", False),
    (b"\na\nb\n\n", False),
    (b"\r\na\r\nb\r\n\r\n", False),
    (b"a\rb\r\r", False),
]


@pytest.mark.parametrize(("content", "expected"), EMPTY_LINES)
@pytest.mark.parametrize("read", [1, 2, 3, 1_000])
def test_an_empty_line_excuses_only_at_the_end_and_alone(content: bytes, expected: bool, read: int) -> None:
    parts = [content[start : start + read] for start in range(0, len(content), read)]
    assert ends_in_its_only_empty_line(parts) is expected


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\r"]), max_size=12), st.integers(1, 4))
def test_empty_lines_are_found_wherever_the_content_is_cut_into_pieces(parts: list[bytes], read: int) -> None:
    content = b"".join(parts)
    lines = content.split(b"\n")
    empty = [number for number, line in enumerate(lines[:-1]) if line in {b"", b"\r"}]
    expected = empty == [len(lines) - 2] and lines[-1] == b""
    pieces = [content[start : start + read] for start in range(0, len(content), read)]
    assert ends_in_its_only_empty_line(pieces) is expected
