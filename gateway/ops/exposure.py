"""Finds settings that would send secrets or personal data in plain text, or let links die early.

`check` tells them, and no node starts with them, nor reloads into them.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from config.errors import ConfigurationError
from config.network import is_loopback
from config.settings import Settings, variable_of

_VERIFIED: Final = {"verify-ca", "verify-full"}
# The key ids of AWS's security token service, whose keys are temporary, begin with these letters.
_TEMPORARY_KEY: Final = "ASIA"


def find_exposures(settings: Settings) -> Iterator[str]:
    """One line for each exposure, with the setting that mends it and, where there is one, the one that allows it."""
    yield from _plain_links(settings)
    yield from _plain_database(settings)
    yield from _plain_twilio(settings)
    yield from _plain_http(settings)
    smtp = settings.smtp
    if smtp.security == "none" and not is_loopback(smtp.host) and not smtp.allow_plaintext:
        yield (
            "the mail server beyond loopback is spoken to without TLS: "
            f"set {variable_of('smtp.security')} to starttls or tls; {variable_of('smtp.allow_plaintext')} allows it"
        )
    if is_temporary(settings):
        yield (
            "the S3 credentials are temporary, and signed links die with them: use lasting ones, or "
            f"{variable_of('s3.public_base_url')}; {variable_of('s3.allow_temporary_credentials')} allows them"
        )


def refuse_exposures(settings: Settings) -> Settings:
    """Give `settings` back unless `find_exposures` finds something. Raises ConfigurationError with what `check` says of it."""
    if found := list(find_exposures(settings)):
        raise ConfigurationError("; ".join(found))
    return settings


def _plain_links(settings: Settings) -> Iterator[str]:
    if settings.s3.allow_plaintext:
        return
    for name in ("endpoint_url", "link_endpoint_url", "public_base_url"):
        url = urlsplit(getattr(settings.s3, name) or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield (
                f"{variable_of(f's3.{name}')} is plain http:// beyond loopback: use https://; "
                f"{variable_of('s3.allow_plaintext')} allows it"
            )


def _plain_twilio(settings: Settings) -> Iterator[str]:
    """An API secret goes out with each call, and a callback brings a number and the token of its address: nothing allows that."""
    for name in ("base_url", "callback_base_url"):
        url = urlsplit(getattr(settings.sending.twilio, name) or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield f"{variable_of(f'sending.twilio.{name}')} is plain http:// beyond loopback: use https://"


def _plain_http(settings: Settings) -> Iterator[str]:
    for name, section in (("api", settings.api), ("console", settings.console)):
        if not is_loopback(section.host) and section.tls_certificate is None and not section.trusted_proxies:
            yield (
                f"{variable_of(f'{name}.host')} is beyond loopback, and HTTP is spoken there without TLS: set "
                f"{variable_of(f'{name}.tls_certificate')} and {variable_of(f'{name}.tls_key')}; a TLS front named in "
                f"{variable_of(f'{name}.trusted_proxies')} allows it"
            )
    url = urlsplit(settings.console.url or "")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        # Browsers keep no session there, as its cookie is for TLS alone.
        yield f"{variable_of('console.url')} is plain http:// beyond loopback: use https://"


def _plain_database(settings: Settings) -> Iterator[str]:
    if settings.database.allow_plaintext:
        return
    for name in ("url", "direct_url"):
        secret = getattr(settings.database, name)
        if secret is not None and _is_far_and_plain(secret.get_secret_value()):
            yield (
                f"the database beyond loopback is spoken to without verified TLS: add sslmode=verify-full "
                f"and sslrootcert=FILE to {variable_of(f'database.{name}')}; "
                f"{variable_of('database.allow_plaintext')} allows it"
            )


def _is_far_and_plain(address: str) -> bool:
    url = urlsplit(address)
    query = parse_qs(url.query)
    named = unquote(url.netloc.rpartition("@")[2])
    hosts = [
        _without_port(host) for text in (named, *query.get("host", [])) for host in text.split(",") if host
    ]
    is_far = any(not is_loopback(host) for host in hosts)
    return is_far and query.get("sslmode", [""])[-1] not in _VERIFIED


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.startswith("/") or host.count(":") > 1 else host.partition(":")[0]


def is_temporary(settings: Settings) -> bool:
    """Whether the S3 credentials expire, where that matters and isn't allowed."""
    s3 = settings.s3
    if s3.allow_temporary_credentials or s3.public_base_url:
        return False
    if s3.access_key_id is not None:
        return s3.session_token is not None or s3.access_key_id.get_secret_value().startswith(_TEMPORARY_KEY)
    import boto3

    # Where no key is set, boto3's clients look for one, such as that of the machine's role; this is the same search.
    found = boto3.session.Session().get_credentials()
    return found is not None and found.token is not None
