"""What all sections of the settings are made of: the types of their fields, and the model itself."""

import base64
import json
import os
import re
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

from config.addresses import parse_network
from config.network import check_database_url, check_http_url, check_mail_address

_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", re.ASCII)


def _words(value: object) -> object:
    """A list given as text, as in an environment variable: words separated by commas or blanks, or a JSON array."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        # What isn't JSON may be words all the same, and each of them is judged by itself.
        with suppress(ValueError):
            return json.loads(value)
    return value.replace(",", " ").split()


def _table(value: object) -> object:
    """A table given as text, as in an environment variable: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        message = 'write it as a JSON object, such as {"001":"recipient_unavailable"}'
        raise ValueError(message) from None


def _check_networks(values: list[str]) -> list[str]:
    for value in values:
        try:
            parse_network(value)
        except ValueError:
            message = f"{value!r} is not an address or network such as 192.0.2.7 or 192.0.2.0/24"
            raise ValueError(message) from None
    return values


def _check_domains(values: list[str]) -> list[str]:
    for value in values:
        if not _DOMAIN.fullmatch(value):
            message = f"{value!r} is not a domain such as agency.gov.sg, in lower case"
            raise ValueError(message)
    return values


def _check_database_url(value: SecretStr) -> SecretStr:
    check_database_url(value.get_secret_value())
    return value


def _check_secrets_key(value: SecretStr) -> SecretStr:
    try:
        length = len(base64.b64decode(value.get_secret_value(), validate=True))
    except ValueError:
        length = 0
    if length != 32:
        message = "it must be 32 bytes in base64: make one with `openssl rand -base64 32`"
        raise ValueError(message)
    return value


Words = Annotated[list[str], NoDecode, BeforeValidator(_words)]
Networks = Annotated[list[str], NoDecode, BeforeValidator(_words), AfterValidator(_check_networks)]
Domains = Annotated[list[str], NoDecode, BeforeValidator(_words), AfterValidator(_check_domains)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecretsKey = Annotated[SecretStr, AfterValidator(_check_secrets_key)]
LookUps = Annotated[list[Seconds], NoDecode, BeforeValidator(_words), Field(min_length=1, max_length=10)]
DatabaseURL = Annotated[SecretStr, AfterValidator(_check_database_url)]
HTTPURL = Annotated[str, AfterValidator(check_http_url)]
MailAddress = Annotated[str, AfterValidator(check_mail_address)]


# The codes that a receipt of a failed message may stand for; `messages.statuses.ErrorCode` has them all.
FailureCode = Literal[
    "recipient_invalid", "recipient_unavailable", "content_invalid", "routing_error", "message_expired",
    "delivery_unknown_error",
]  # fmt: skip
SMPPErrors = Annotated[dict[str, FailureCode], NoDecode, BeforeValidator(_table)]


def networks(values: list[str]) -> list[IPv4Network | IPv6Network]:
    """The addresses and networks of a checked setting, ready to ask `address in network`."""
    return [parse_network(value) for value in values]


def state_folder() -> Path:
    """Where this gateway keeps what must outlive it: systemd's `$STATE_DIRECTORY`, else the user's state folder."""
    if named := os.environ.get("STATE_DIRECTORY"):
        return Path(named.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "sftp-gateway"


class Section(BaseModel):
    """A section: unknown names are refused, and nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
