"""What is near and what is far, and what an address of a service looks like. Nothing is looked up."""

import ipaddress
import re
from email.utils import getaddresses
from typing import Final
from urllib.parse import parse_qs, urlsplit

DATABASE_FORM: Final = "postgresql://user:password@host:port/database"
_TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_MAIL_ADDRESS: Final = re.compile(r"[^\s@<>()\[\]\\,:;\"]+@[^\s@<>()\\,:;\"]+")


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without its port, is this machine for certain. No look-up is made."""
    bare = host.strip("[]")
    if bare == "localhost" or bare.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def check_http_url(text: str) -> str:
    """`text`, the address of an HTTP service. Raises ValueError, which doesn't repeat it."""
    try:
        url = urlsplit(text)
        # Asking for the port is what finds a wrong one.
        fits = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        fits = False
    if not fits or not text.isprintable() or " " in text:
        raise ValueError("write it as https://host or https://host:port")
    return text


def check_database_url(text: str) -> str:
    """`text`, the address of a PostgreSQL: one host or several, or a socket's folder. Raises ValueError, without it."""
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    query = parse_qs(url.query)
    hosts = url.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    ports += [port for word in query.get("port", []) for port in word.split(",")]
    if (
        url.scheme not in {"postgresql", "postgres"}
        or not all(map(_is_port, ports))
        or (len(hosts) > 1 and "" in hosts)
    ):
        raise ValueError(
            f"it is not of the form {DATABASE_FORM} (in a password, write what isn't a letter or digit as %40 for @)"
        )
    if not set(query.get("sslmode", [])) <= set(_TLS_MODES):
        raise ValueError(f"its sslmode must be one of {', '.join(_TLS_MODES)}")
    return text


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 65535)


def check_mail_address(text: str) -> str:
    """`text`, one mail address, or a name and one in angle brackets. Raises ValueError, which doesn't repeat it."""
    found = getaddresses([text])
    if len(found) != 1 or not text.isprintable() or not _MAIL_ADDRESS.fullmatch(found[0][1]):
        raise ValueError("write it as postman@agency.example or Postman <postman@agency.example>")
    return text
