"""What an admin does before an agency's first upload or call: schema, host keys, the agency, its campaign and keys."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from audit.events import Actor
from campaigns.api_access import add_api_key, change_api_addresses, parse_api_addresses
from campaigns.campaigns import add_keys
from campaigns.creation import create_campaign, find_ownership
from campaigns.people.agencies import add_agency
from campaigns.people.users import set_creator
from config.settings import Settings
from database.connections import connect, database_troubles
from database.schema import migrate
from gateway.demo.samples import AGENCY, AGENCY_DOMAIN, BODIES, CAMPAIGN_NAME, NOTIFY_ADDRESS, OFFICER
from gateway.errors import EmbeddedError
from keys.host_key_changes import generate_host_keys
from keys.host_keys import HostKey
from keys.key_files import parse_public_keys
from processing.rule_settings import unsupported_rule
from rules.templates import Template

KEY_NAME: Final = "agency_key"


def find_client() -> None:
    """Raises EmbeddedError where OpenSSH's client isn't installed."""
    missing = [program for program in ("sftp", "ssh", "ssh-keygen") if shutil.which(program) is None]
    if missing:
        raise EmbeddedError(
            f"the demo needs OpenSSH's client, and {' and '.join(missing)} can't be found: "
            "install it (Debian, Ubuntu: apt install openssh-client)"
        )


def make_agency_key(folder: Path) -> bytes:
    """What an agency does: makes a key pair in `folder`, and hands the public half over."""
    private_file = folder / KEY_NAME
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo agency", "-f", private_file],
        check=True,
        timeout=30,
    )
    return private_file.with_name(f"{KEY_NAME}.pub").read_bytes()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was made. `api_key` is a key of the HTTP API, for calls from this machine."""

    campaign_id: str
    host_keys: list[HostKey]
    api_key: str = field(repr=False)


def provision(settings: Settings, public_key: bytes, actor: Actor) -> Provisioned:
    """Bring the schema up, make host keys, create the campaign, add its keys."""
    return asyncio.run(_provision(settings, public_key, actor))


async def _provision(settings: Settings, public_key: bytes, actor: Actor) -> Provisioned:
    await migrate(settings.database)
    connection = await connect(settings.database)
    try:
        with database_troubles():
            async with connection.transaction():
                host_keys = await generate_host_keys(connection, settings.sftp.host_key_dir, actor=actor)
                agency = await add_agency(connection, AGENCY, [AGENCY_DOMAIN], member_only=False, actor=actor)
                await set_creator(connection, agency, OFFICER, may_create=True, actor=actor)
                campaign = await create_campaign(
                    connection,
                    name=CAMPAIGN_NAME,
                    template=Template(AGENCY, BODIES),
                    notify_email=NOTIFY_ADDRESS,
                    ownership=await find_ownership(connection, creator=OFFICER, agency=AGENCY),
                    unsupported=unsupported_rule(settings.messages),
                    actor=actor,
                )
                keys = parse_public_keys(public_key, f"{KEY_NAME}.pub")
                await add_keys(connection, campaign.id, keys, label="demo", actor=actor)
                addresses = parse_api_addresses(["127.0.0.1"])
                await change_api_addresses(connection, campaign.id, added=addresses, removed=(), actor=actor)
                api_key = await add_api_key(
                    connection, campaign.id, environment=settings.environment, name="demo", actor=actor
                )
    finally:
        await connection.close()
    return Provisioned(campaign.id, host_keys, api_key.text)
