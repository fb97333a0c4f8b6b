"""A short run of the PDU fuzzer; `make fuzz` has the long one."""

from tests.sending.providers.smpp.fuzz_pdus import fuzz


def test_two_thousand_mutated_pdus_are_pdus_or_malformed() -> None:
    # Otherwise the mutations would never get as far as a body, and test little.
    assert fuzz(2_000, seed=34) > 200
