"""Which algorithms the front speaks (2-gateway.md §1), and how asyncssh is held to them.

asyncssh chooses by the client's order. Our own order only says what we prefer, and is what `ssh-audit` shows.
"""

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import asyncssh
from asyncssh.public_key import SSHKeyPair, load_keypairs
from cryptography.utils import CryptographyDeprecationWarning

from config.sections import SFTPSettings

KEY_EXCHANGES: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)
# For programs that know none of those, such as Ruby's net-ssh without x25519. They are sound, but not what we would choose.
WIDE_KEY_EXCHANGES: Final = (
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
)
CIPHERS: Final = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# The two without -etm are there for Debian 12's curl (libssh2 1.10), which knows no better ones.
MACS: Final = (
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512",
    "hmac-sha2-256",
)
# The signatures by which a client may prove that it has its key. They are announced in `server-sig-algs`.
USER_SIGNATURES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
SHA1_SIGNATURE: Final = b"ssh-rsa"
# The key exchanges that cost the server several times what the others do. The unit is one curve25519 login, as measured.
COSTLY_KEY_EXCHANGES: Final = {b"diffie-hellman-group16-sha512": 2, b"diffie-hellman-group18-sha512": 6}

_RSA_HOST_SIGNATURES: Final = (b"rsa-sha2-512", b"rsa-sha2-256")


def refuse_sha1_signatures(key: asyncssh.SSHKey) -> None:
    """Let `key` verify no SHA-1 signature: asyncssh would accept one whatever `signature_algs` says.

    asyncssh keeps the set of algorithms on the key's class, so this key is given a set of its own.
    """
    key.all_sig_algorithms = key.all_sig_algorithms - {SHA1_SIGNATURE}


def server_options(
    settings: SFTPSettings, host_keys: Sequence[asyncssh.SSHKey]
) -> asyncssh.SSHServerConnectionOptions:
    """The options that every connection starts from. `options_for` then gives each connection its own `server_factory`."""
    key_exchanges = list(KEY_EXCHANGES)
    if settings.compatibility == "wide":
        key_exchanges += WIDE_KEY_EXCHANGES
    signatures = list(USER_SIGNATURES)
    if settings.allow_sha1_signatures:
        signatures.append(SHA1_SIGNATURE.decode())
    options = asyncssh.SSHServerConnectionOptions(
        server_factory=asyncssh.SSHServer,
        server_version=settings.version_name,
        server_host_keys=_host_key_pairs(host_keys),
        # Where there are several keys of a type, a rotation is announced: the first key is used, and clients are told the others.
        send_server_host_keys=True,
        kex_algs=key_exchanges,
        encryption_algs=list(CIPHERS),
        mac_algs=list(MACS),
        compression_algs=None,
        signature_algs=signatures,
        x509_trusted_certs=None,
        gss_host=None,
        host_based_auth=False,
        public_key_auth=True,
        kbdint_auth=False,
        password_auth=False,
        allow_pty=False,
        line_editor=False,
        x11_forwarding=False,
        agent_forwarding=False,
        allow_scp=False,
        encoding=None,
        login_timeout=settings.login_timeout,
        keepalive_interval=settings.keepalive_interval,
        keepalive_count_max=settings.keepalive_count,
    )
    _fix_host_signatures(options)
    return options


def _host_key_pairs(keys: Sequence[asyncssh.SSHKey]) -> list[SSHKeyPair]:
    pairs = list(load_keypairs(list(keys)))
    for pair in pairs:
        if pair.key_algorithm == SHA1_SIGNATURE:
            pair.host_key_algorithms = _RSA_HOST_SIGNATURES
            # During a rotation, this is also the signature that proves a new key to a client.
            pair.set_sig_algorithm(_RSA_HOST_SIGNATURES[0])
    return pairs


def _fix_host_signatures(options: asyncssh.SSHServerConnectionOptions) -> None:
    """Give each negotiable algorithm a key pair of its own.

    asyncssh sets the algorithm on the shared pair when a client chooses it, and signs a round trip later. Of two clients
    at once, one with rsa-sha2-256 and one with rsa-sha2-512, each would get the other's signature.
    """
    fixed: OrderedDict[bytes, SSHKeyPair] = OrderedDict()
    for algorithm, pair in options.server_host_keys.items():
        own = copy.copy(pair)
        own.set_sig_algorithm(algorithm)
        fixed[algorithm] = own
    options.server_host_keys = fixed


def options_for(
    options: asyncssh.SSHServerConnectionOptions, server_factory: Callable[[], asyncssh.SSHServer]
) -> asyncssh.SSHServerConnectionOptions:
    """The same options for one connection, whose events go to what `server_factory` makes."""
    own = copy.copy(options)
    own.protocol_factory = server_factory
    return own


def quiet_group_exchange_warnings() -> None:
    """Silence the library's warning, at each use, that groups 14, 16 and 18 will go one day. DECISIONS.md keeps track of it."""
    warnings.filterwarnings(
        "ignore", message="Diffie-Hellman over finite fields", category=CryptographyDeprecationWarning
    )
