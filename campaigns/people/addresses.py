"""E-mail addresses of people, and what their domain lets them be (9-console.md §2, §3). Pure.

Domains are matched on the borders of labels: `gov.sg` has `x.gov.sg` below it, and never `evilgov.sg`.
"""

import re
from enum import StrEnum
from typing import Final

from campaigns.errors import PeopleRefused

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_LOCAL: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
# The government's own: everybody below it may create and own campaigns.
GOVERNMENT: Final = "gov.sg"
# Members only, without being listed.
_MEMBER_DOMAINS: Final = ("edu.sg", "synapxe.sg", "aic.sg")


class Standing(StrEnum):
    """What an address may be: create and own campaigns, be a member of some, or nothing at all."""

    OFFICER = "officer"
    MEMBER = "member"
    STRANGER = "stranger"


def parse_email(text: str) -> str:
    """`text` in lower case, which is one e-mail address of a domain in ASCII. Raises PeopleRefused, which doesn't repeat it."""
    address = text.strip().lower()
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local) or len(local) > 64 or len(address) > 254:
        raise PeopleRefused("that is not an e-mail address such as name@agency.gov.sg")
    parse_domain(domain)
    return address


def parse_domain(text: str) -> str:
    """`text` in lower case, which is a domain of ASCII labels. Raises PeopleRefused."""
    domain = text.strip().lower()
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise PeopleRefused(f"{text.strip()[:60]!r} is not a domain such as agency.gov.sg")
    if any(label.startswith("xn--") for label in domain.split(".")):
        # Its letters may look like another domain's.
        raise PeopleRefused(f"{domain[:60]} is an internationalised domain, and these are not taken")
    return domain


def domain_of(email: str) -> str:
    """The domain of a parsed address."""
    return email.rpartition("@")[2]


def is_below(domain: str, parent: str) -> bool:
    """Whether `domain` is `parent`, or below it."""
    return domain == parent or domain.endswith(f".{parent}")


def parents_of(domain: str) -> list[str]:
    """The domain itself and all those that it is below, the nearest first: `a.gov.sg`, `gov.sg`, `sg`."""
    labels = domain.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


def is_government(domain: str) -> bool:
    """Whether it is the government's own domain, or below it."""
    return is_below(domain, GOVERNMENT)


def standing_of(email: str, *, is_listed: bool, is_member_only: bool) -> Standing:
    """What an address may be. `is_listed`: its domain is an agency's; `is_member_only`: as that is listed."""
    domain = domain_of(email)
    if is_listed:
        return Standing.MEMBER if is_member_only else Standing.OFFICER
    if is_government(domain):
        return Standing.OFFICER
    return (
        Standing.MEMBER if any(is_below(domain, parent) for parent in _MEMBER_DOMAINS) else Standing.STRANGER
    )
