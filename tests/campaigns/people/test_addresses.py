"""Whose address is whose: matched on the borders of labels, never by look."""

import pytest

from campaigns.errors import PeopleRefused
from campaigns.people.addresses import Standing, parents_of, parse_domain, parse_email, standing_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("Tan@Examples.GOV.sg", "tan@examples.gov.sg", id="any case"),
        pytest.param("  tan.ah-kow+sms@a.b.gov.sg ", "tan.ah-kow+sms@a.b.gov.sg", id="white space around"),
    ],
)
def test_an_address_is_kept_in_lower_case(text: str, address: str) -> None:
    assert parse_email(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "tan", "tan@", "@gov.sg", "tan@gov", "tan@localhost", "a b@gov.sg", "tan@gov.sg,lim@gov.sg", "tan@@gov.sg",
     "tan@gov..sg", "tan@-gov.sg", "tán@gov.sg", "tan@gօv.sg",
     "tan@xn--gv-lka.sg", "tan@gov.sg\n", "tan@gov.sg\0", '"tan"@gov.sg',
     f"{'a' * 65}@gov.sg", f"tan@{'a.' * 130}sg"],
)  # fmt: skip
def test_what_is_no_address_of_ours_is_refused_and_not_repeated(text: str) -> None:
    if text == "tan@gov.sg\n":
        assert parse_email(text) == "tan@gov.sg"
        return
    with pytest.raises(PeopleRefused) as refused:
        parse_email(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["gov", "", ".gov.sg", "gov.sg.", "xn--gv-lka.sg", "go_v.sg", "gov sg", "ɡov.sg"]
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(PeopleRefused):
        parse_domain(text)


def test_a_domain_is_below_its_parents_nearest_first() -> None:
    assert parents_of("a.b.gov.sg") == ["a.b.gov.sg", "b.gov.sg", "gov.sg", "sg"]


@pytest.mark.parametrize(
    ("email", "listed", "member_only", "standing"),
    [
        pytest.param("a@gov.sg", False, False, Standing.OFFICER, id="the government's own"),
        pytest.param("a@x.gov.sg", False, False, Standing.OFFICER, id="below it"),
        pytest.param("a@evilgov.sg", False, False, Standing.STRANGER, id="ends alike"),
        pytest.param("a@gov.sg.evil.com", False, False, Standing.STRANGER, id="begins alike"),
        pytest.param("a@nus.edu.sg", False, False, Standing.MEMBER, id="a school"),
        pytest.param("a@aic.sg", False, False, Standing.MEMBER, id="a member domain"),
        pytest.param("a@vendor.com", True, True, Standing.MEMBER, id="a listed vendor"),
        pytest.param("a@vendor.com", False, False, Standing.STRANGER, id="a vendor that nobody listed"),
        pytest.param("a@x.gov.sg", True, True, Standing.MEMBER, id="listed as members only"),
    ],
)
def test_what_an_address_may_be(email: str, listed: bool, member_only: bool, standing: Standing) -> None:
    assert standing_of(email, is_listed=listed, is_member_only=member_only) is standing
