"""The forms that a campaign's fields must have: its id, its notification address, its sources, its account at Twilio. Pure.

Each parser gives the field as it is stored, or raises CampaignRefused, whose text is for whoever filled it in. The template
is checked in `creation`, which loads far more.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

from campaigns.errors import CampaignRefused
from config.addresses import parse_network
from config.identifiers import is_campaign_id

Network: TypeAlias = IPv4Network | IPv6Network

# Its page in the console would be hidden by the one on which campaigns are made.
_RESERVED_ID: Final = "new"
LONGEST_NAME: Final = 200

# One address as RFC 5321 has it, without quoted local parts, comments and domains in brackets.
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(
    rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})*)", re.ASCII
)


def parse_campaign_id(text: str) -> str:
    """`text`, which has the form of a campaignId. Raises CampaignRefused."""
    if not is_campaign_id(text):
        raise CampaignRefused(
            "a campaignId has 3 to 64 characters, only letters A-Z a-z, digits, '_' and '-': choose another --id"
        )
    if text == _RESERVED_ID:
        raise CampaignRefused(f"{text} is a page of the console and no campaignId: choose another --id")
    return text


def parse_campaign_name(text: str) -> str:
    """`text` with single blanks, as pages take it: a name that people can tell apart by reading it. Raises CampaignRefused."""
    name = " ".join(text.split())
    if not name:
        raise CampaignRefused("a campaign needs a name")
    if len(name) > LONGEST_NAME:
        raise CampaignRefused(f"the name has {len(name)} characters, at most {LONGEST_NAME} are allowed")
    if not name.isprintable():
        # Such as those that turn the direction of a line: names stand in lists and in questions before something is deleted.
        raise CampaignRefused("the name has characters that can't be seen: type it again")
    return name


def parse_notify_address(text: str) -> str:
    """`text`, which is exactly one e-mail address. Raises CampaignRefused, which doesn't repeat it."""
    if re.search(r"[,;\s]", text.strip()) or text.count("@") > 1:
        raise CampaignRefused(
            "exactly one notification address is possible, written as name@agency.gov.sg: "
            "for several readers, give a mailing list's address"
        )
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or len(match["local"]) > 64 or len(match[0]) > 254:
        raise CampaignRefused("the notification address is not an e-mail address such as name@agency.gov.sg")
    if "." not in match["domain"] and match["domain"] != "localhost":
        raise CampaignRefused("the notification address's domain is incomplete: write name@agency.gov.sg")
    return match[0]


def parse_sources(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks, once each, host bits cleared. Raises CampaignRefused."""
    found: list[Network] = []
    for text in texts:
        for word in text.replace(",", " ").split():
            try:
                network = parse_network(word)
            except ValueError:
                network = None
            # An IPv6 zone is one machine's own affair, and PostgreSQL's cidr knows none.
            if network is None or "%" in word:
                raise CampaignRefused(
                    f"{word!r} is not an address or network: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
                )
            found.append(network)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class TwilioCredentials:
    """The five values of an internal campaign's account at Twilio. `secret` is the API key's, and is shown nowhere."""

    account_sid: str
    key_sid: str
    secret: str = field(repr=False)
    service_sid: str
    sender_name: str


# An alphanumeric sender ID as Twilio takes it: with a letter, since it would take digits alone for a number.
_SENDER_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+._-]{1,11}", re.ASCII)
_SENDER_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SECRET: Final = re.compile(r"[!-~]{1,128}", re.ASCII)


# Where each value of an account comes from at the command line.
_OPTIONS: Final = {
    "account": "--account", "key": "--key", "secret": "--secret-file", "service": "--service", "sender": "--sender",
}  # fmt: skip


def check_twilio_credentials(
    *, account: str, key: str, secret: str, service: str, sender: str
) -> dict[str, str]:
    """What is wrong with the five values, by the names that they have here; nothing where they have Twilio's forms.

    The secret is never repeated.
    """
    found = {
        "account": (account, "AC", "the account SID"),
        "key": (key, "SK", "the API key's SID"),
        "service": (service, "MG", "the messaging service's SID"),
    }
    refusals = {
        name: f"{what} is {prefix} and 32 hexadecimal digits"
        for name, (value, prefix, what) in found.items()
        if not re.fullmatch(rf"{prefix}[0-9a-fA-F]{{32}}", value, re.ASCII)
    }
    if not _SECRET.fullmatch(secret):
        refusals |= {"secret": "the API key's secret is one word of letters and digits on a line of its own"}
    elif re.fullmatch(r"(?:AC|SK|MG)[0-9a-fA-F]{32}", secret, re.ASCII):
        refusals |= {"secret": "what stands for the API key's secret is a SID, and not the secret"}
    if not _SENDER_NAME.fullmatch(sender) and not _SENDER_NUMBER.fullmatch(sender):
        refusals["sender"] = (
            "the sender is a name of up to 11 letters, digits and blanks, with a letter among them, or a number such as "
            "+6591234567"
        )
    return refusals


def parse_twilio_credentials(
    *, account: str, key: str, secret: str, service: str, sender: str
) -> TwilioCredentials:
    """The five values, which have the forms that Twilio gives them. Raises CampaignRefused, a line for each wrong one.

    The secret is never repeated; line ends after it, as files have them, are left out.
    """
    secret, sender = secret.rstrip("\r\n"), sender.strip()
    refusals = check_twilio_credentials(
        account=account, key=key, secret=secret, service=service, sender=sender
    )
    if refusals:
        raise CampaignRefused("\n".join(f"{text}: see {_OPTIONS[name]}" for name, text in refusals.items()))
    return TwilioCredentials(account, key, secret, service, sender)
