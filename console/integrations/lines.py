"""The lines that a programmer copies: how to connect by SFTP, how to call the API, with this deployment's names and ids."""

import json
import shlex
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from config.addresses import parse_address
from config.environment import Environment
from config.settings import Settings
from rules.templates import Template

_SSH_PORT: Final = 22
# Where the own name of the server isn't known: a word that nobody takes for one.
_UNKNOWN: Final = "SERVER"
_SAMPLE_RECIPIENT: Final = "6591234567"
# In production a message costs, and reaches somebody.
_OWN_RECIPIENT: Final = "65YOURNUMBER"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where agencies find the SFTP server and the API. `sftp_port` is 22 where nothing else is said."""

    sftp_host: str
    sftp_port: int
    api_url: str

    def sftp_line(self, campaign_id: str) -> str:
        """What is typed to connect, with the file that `ssh-keygen` made."""
        port = [] if self.sftp_port == _SSH_PORT else ["-P", str(self.sftp_port)]
        return shlex.join(
            ["sftp", *port, "-i", "agency_key", "-o", "IdentitiesOnly=yes", f"{campaign_id}@{self.sftp_host}"]
        )

    def list_line(self, campaign_id: str) -> str:
        """A call that sends nothing: whether key and address are right."""
        return _curl(f"{self._calls_of(campaign_id)}/messages?limit=10")

    def send_line(self, campaign_id: str, template: Template, environment: Environment) -> str:
        """A call that sends one message, in the campaign's first language."""
        recipient = _SAMPLE_RECIPIENT if environment is Environment.TEST else _OWN_RECIPIENT
        body = {
            "recipient": recipient,
            "language": next(iter(template.bodies)).value,
            "values": {name: name for name in template.parameters},
        }
        sent = shlex.quote(json.dumps(body, ensure_ascii=False))
        return f"{_curl(f'{self._calls_of(campaign_id)}/messages')} -H 'Content-Type: application/json' -d {sent}"

    def _calls_of(self, campaign_id: str) -> str:
        return f"{self.api_url}/api/v2/campaigns/{campaign_id}"


def servers_of(settings: Settings, asked: str) -> Servers:
    """Where agencies find them; `asked` is the Host that the browser asked for, which tells what no setting does."""
    console = settings.console
    host = _host_of(console.url or f"http://{asked}")
    if console.sftp_server is None:
        sftp_host, sftp_port = host, settings.sftp.port
    else:
        sftp_host, _, number = console.sftp_server.partition(":")
        sftp_port = int(number or _SSH_PORT)
    api_url = console.api_url
    if api_url is None:
        name = f"[{host}]" if ":" in host else host
        api_url = f"{'http' if _is_loopback(host) else 'https'}://{name}:{settings.api.port}"
    return Servers(sftp_host, sftp_port or _SSH_PORT, api_url.rstrip("/"))


def _curl(url: str) -> str:
    return f"""curl -sS -w '\\n%{{http_code}}\\n' {shlex.quote(url)} -H "Authorization: Bearer $SMS_KEY\""""


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or _UNKNOWN
    except ValueError:
        return _UNKNOWN


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return parse_address(host).is_loopback
    except ValueError:
        return False
