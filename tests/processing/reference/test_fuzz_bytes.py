"""The short form of `fuzz_bytes`: a few hundred uploads of random bytes, and two shapes with their memory watched."""

import pytest

from tests.processing.reference.fuzz_bytes import fuzz, measure


def test_random_and_mutated_bytes_never_raise_and_are_judged_as_the_reference_does() -> None:
    fuzz(runs=400, seed=20261122)


@pytest.mark.parametrize("shape", ["clean", "quotes after a header"])
def test_judging_30_mb_stays_within_the_memory_bound(shape: str) -> None:
    measured = measure(shape)
    assert measured.is_within, measured
