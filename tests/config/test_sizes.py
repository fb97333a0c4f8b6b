"""How a size is told."""

import pytest

from config.sizes import MAX_UPLOAD_BYTES, size_text


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (MAX_UPLOAD_BYTES, "30 MB"),
        (1024 * 1024, "1 MB"),
        (1024 * 1024 + 1, "1048577 bytes"),
        (1_000_000, "1000000 bytes"),
    ],
)
def test_a_size_is_told_in_megabytes_where_it_is_whole_ones(count: int, told: str) -> None:
    assert size_text(count) == told
