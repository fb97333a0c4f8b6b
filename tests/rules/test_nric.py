"""Which texts are an NRIC or FIN, by the published checksums, and which the test environment may take for one."""

import pytest

from rules.nric import is_nric, is_test_identifier


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("S0000001I", True, id="the contract's own"),
        pytest.param("S1234567D", True, id="S"),
        pytest.param("T1234567J", True, id="T"),
        pytest.param("F1234567N", True, id="F"),
        pytest.param("G1234567X", True, id="G"),
        pytest.param("M1234567K", True, id="M"),
        pytest.param("S0000002I", False, id="another digit"),
        pytest.param("S0100000I", False, id="digits that changed places"),
        pytest.param("S0000001J", False, id="another letter"),
        pytest.param("s0000001i", False, id="lower case"),
        pytest.param("A0000001I", False, id="no such series"),
        pytest.param("S000001I", False, id="six digits"),
        pytest.param("S00000001I", False, id="eight digits"),
        pytest.param("S000000\u0661I", False, id="a digit of another script"),
        pytest.param("S0000001I\n", False, id="a line end"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_an_nric_has_the_form_and_the_letter_of_its_digits(text: str, expected: bool) -> None:
    assert is_nric(text) is expected


@pytest.mark.parametrize("series", list("STFGM"))
def test_each_number_has_exactly_one_letter(series: str) -> None:
    for digits in ("0000000", "0000001", "9876543", "1234567"):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert sum(is_nric(f"{series}{digits}{letter}") for letter in letters) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("test-person-1", True, id="a word"),
        pytest.param("abc", True, id="three characters"),
        pytest.param("a" * 32, True, id="32 characters"),
        pytest.param("ab", False, id="two characters"),
        pytest.param("a" * 33, False, id="33 characters"),
        pytest.param("a b", False, id="a blank"),
        pytest.param("ab\n", False, id="a line end"),
        pytest.param("S0000001I", False, id="a real one"),
        pytest.param("s0000001i", False, id="a real one in lower case"),
        pytest.param("S0000001J", True, id="the form of one, but not its letter"),
    ],
)
def test_the_test_environment_takes_words_and_no_real_number(text: str, expected: bool) -> None:
    assert is_test_identifier(text) is expected
