"""Provisioned gateways: a campaign with a key, host keys made once per run, nodes that end with their test; `call` and `admin`.

These call the command line in this process, which is fast enough for tables of calls. A few tests start the real executable.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from audit.events import Actor
from campaigns.campaigns import add_keys
from campaigns.creation import create_campaign
from config.settings import Settings
from database.connections import connect
from database.grants import DatabaseRole, grant_statements
from gateway.cli.main import run_command_line
from keys.host_key_changes import generate_host_keys
from keys.host_keys import HostKeyType, generate_host_key
from keys.key_files import parse_public_keys
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template
from tests.conftest import KeyPair, run_apart
from tests.gateway.nodes import ROOT, Node


@dataclass(frozen=True)
class Answer:
    """What a call printed, and its exit status."""

    status: int
    out: str
    err: str
    raw: bytes

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return json.loads(self.out)


class Keyboard(io.TextIOWrapper):
    """Standard input as it is when a person sits before it."""

    def isatty(self) -> bool:
        return True


Call = Callable[..., Answer]


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Call:
    """`call("key", "check", "-", stdin=b"…")`, without any settings."""

    def run(*words: object, stdin: bytes = b"", keyboard: bool = False) -> Answer:
        stream = Keyboard if keyboard else io.TextIOWrapper
        monkeypatch.setattr(sys, "stdin", stream(io.BytesIO(stdin), encoding="utf-8"))
        capsysbinary.readouterr()
        status = run_command_line([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return Answer(status, out.decode("utf-8", "replace"), err.decode(), out)

    return run


@pytest.fixture
def admin(call: Call, gateway_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """The same, with settings that lead to this test's own servers."""
    for name, value in gateway_variables.items():
        monkeypatch.setenv(name, value)
    return call


@pytest.fixture(scope="session")
def host_keys_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Host keys of all types, made once for all tests, as RSA takes a while."""
    folder = tmp_path_factory.mktemp("host-keys")
    folder.chmod(0o700)
    for kind in HostKeyType:
        generate_host_key(folder, kind, is_current=True)
    return folder


@pytest.fixture
def provisioned(settings: Settings, ed25519_key: KeyPair, host_keys_once: Path) -> str:
    """Makes a campaign with a key, and host keys. Gives the campaignId."""
    shutil.copytree(host_keys_once, settings.sftp.host_key_dir)
    return run_apart(provision(settings, ed25519_key.public_line))


async def provision(settings: Settings, public_line: str) -> str:
    """The campaign "Test", which says "Dear {{name}}, hello." in English."""
    connection = await connect(settings.database)
    try:
        async with connection.transaction():
            await generate_host_keys(connection, settings.sftp.host_key_dir, actor=Actor("test"))
            campaign = await create_campaign(
                connection,
                name="Test",
                template=Template("Agency", {Language.ENGLISH: "Dear {{name}}, hello."}),
                notify_email="desk@agency.example",
                unsupported=UnsupportedRule(),
                actor=Actor("test"),
            )
            keys = parse_public_keys(public_line.encode())
            await add_keys(connection, campaign.id, keys, label="test", actor=Actor("test"))
    finally:
        await connection.close()
    return campaign.id


@pytest.fixture
def url_of(database_url: str) -> Callable[[DatabaseRole], str]:
    """The roles have what `migrate --grants` prints; gives the URL by which one of them logs in to this test's database."""

    async def grant() -> None:
        connection = await asyncpg.connect(database_url)
        for role in DatabaseRole:
            if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
                await connection.execute(f"create role {role} login")
        await connection.execute("\n".join(grant_statements()))
        await connection.close()

    run_apart(grant())
    return lambda role: re.sub(r"//\w+@", f"//{role}@", database_url)


@pytest.fixture
def start_node(
    provisioned: str, gateway_variables: dict[str, str], ed25519_key: KeyPair, tmp_path: Path
) -> Iterator[Callable[..., Node]]:
    """Starts nodes, with more variables or another command or module, and waits until they are ready; ends them all."""
    nodes: list[Node] = []

    def start(*arguments: str, module: str = "gateway", wait: bool = True, **variables: str) -> Node:
        log = tmp_path / f"node{len(nodes)}.log"
        environment = {**os.environ, **gateway_variables, **variables}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *(arguments or ("run",))],
                env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=output, stdout=output,
            )  # fmt: skip
        node = Node(process, log, provisioned, ed25519_key.private_file)
        nodes.append(node)
        if wait:
            node.wait_ready()
        return node

    yield start
    for node in nodes:
        children = psutil.Process(node.process.pid).children() if node.process.poll() is None else []
        node.process.kill()
        node.process.wait(10)
        psutil.wait_procs(children, timeout=40)


@pytest.fixture
def good_file(tmp_path: Path) -> Path:
    """Two good rows for the campaign "Test"."""
    path = tmp_path / "good.csv"
    path.write_text("recipient,language,name\n6599999999,english,Emily\n6599999998,english,James\n")
    return path
