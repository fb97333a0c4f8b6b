"""TLS as a server of ours speaks it."""

import ssl
from pathlib import Path

from config.errors import ConfigurationError


def load_tls(certificate: Path | None, key: Path | None, *, section: str) -> ssl.SSLContext | None:
    """What TLS is spoken with, or None where a front speaks it. `section` names the settings. Raises ConfigurationError."""
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate {certificate} and its key {key} can't be used "
            f"({error.strerror or type(error).__name__}): both must be PEM, belong together, and the key have no password; see "
            f"SFTP_GATEWAY_{section}__TLS_CERTIFICATE and SFTP_GATEWAY_{section}__TLS_KEY"
        ) from None
    return context
