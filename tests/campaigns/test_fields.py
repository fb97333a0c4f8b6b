"""The forms of a campaign's id, notification address and sources: what passes, and what is refused with which words."""

import pytest

from campaigns.errors import CampaignRefused
from campaigns.fields import parse_campaign_id, parse_campaign_name, parse_notify_address, parse_sources


@pytest.mark.parametrize("text", ["abc", "A_b-9", "x" * 64, "campaign_0b9e1c1c-2f7e-4f5e-9f39-6d3b2f3c1a11"])
def test_ids_of_the_form_pass(text: str) -> None:
    assert parse_campaign_id(text) == text


@pytest.mark.parametrize("text", ["", "ab", "x" * 65, "a b", "a.b", "ab/..", "abé", "abc\n", "١٢٣"])
def test_ids_of_any_other_form_are_refused(text: str) -> None:
    with pytest.raises(CampaignRefused, match="3 to 64 characters"):
        parse_campaign_id(text)


def test_an_id_that_is_a_page_of_the_console_is_refused() -> None:
    with pytest.raises(CampaignRefused, match="is a page of the console"):
        parse_campaign_id("new")


def test_a_name_is_what_people_can_read() -> None:
    assert parse_campaign_name("  Clinic \n 诊所 <b> ") == "Clinic 诊所 <b>"
    for text, says in ((" \t", "needs a name"), ("x" * 201, "at most 200"), ("a\u202eb", "can't be seen")):
        with pytest.raises(CampaignRefused, match=says):
            parse_campaign_name(text)


@pytest.mark.parametrize(
    "text",
    ["ops@clinic.gov.sg", "a.b+c@x-y.sg", "o'neil@agency.gov.sg", "me@localhost", " ops@clinic.gov.sg "],
)
def test_one_address_passes(text: str) -> None:
    assert parse_notify_address(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an e-mail address"),
        ("ops", "not an e-mail address"),
        ("@clinic.gov.sg", "not an e-mail address"),
        ("ops@", "not an e-mail address"),
        ("ops@-clinic.sg", "not an e-mail address"),
        (".ops@clinic.sg", "not an e-mail address"),
        ("o..ps@clinic.sg", "not an e-mail address"),
        ("ops@clinic..sg", "not an e-mail address"),
        ("ops@clínic.sg", "not an e-mail address"),
        ("x" * 65 + "@clinic.sg", "not an e-mail address"),
        ("ops@clinic", "incomplete"),
        ("a@b.sg,c@d.sg", "exactly one"),
        ("a@b.sg; c@d.sg", "exactly one"),
        ("a@b.sg c@d.sg", "exactly one"),
        ("Ops <a@b.sg>", "exactly one"),
        ("a@b@c.sg", "exactly one"),
        ("a@b.sg\r\nBcc: c@d.sg", "exactly one"),
    ],
)
def test_anything_but_one_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(CampaignRefused, match=says):
        parse_notify_address(text)


def test_sources_are_split_normalised_and_named_once() -> None:
    sources = parse_sources(["192.0.2.7, 198.51.100.9/24", "192.0.2.7/32", "2001:db8::1"])
    assert [str(network) for network in sources] == ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::1/128"]


def test_a_source_of_ipv4_written_as_ipv6_is_ipv4() -> None:
    sources = parse_sources(["::ffff:192.0.2.7", "::ffff:198.51.100.9/120", "::/0"])
    assert [str(network) for network in sources] == ["192.0.2.7/32", "198.51.100.0/24", "::/0"]


@pytest.mark.parametrize("text", ["office", "192.0.2", "192.0.2.0/33", "192.0.2.1-9", "::1%eth0/64"])
def test_a_source_that_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(CampaignRefused, match="not an address or network"):
        parse_sources([text])
