"""The forms that a campaign's fields must have: its id, its notification address, its sources. Pure.

Each parser gives the field as it is stored, or raises CampaignRefused, whose text is for whoever filled it in. The template
is checked in `creation`, which loads far more.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeAlias

from campaigns.errors import CampaignRefused
from config.addresses import parse_network
from config.identifiers import is_campaign_id

Network: TypeAlias = IPv4Network | IPv6Network

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
    return text


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
