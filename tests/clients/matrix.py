"""Every client through every flow: what `docs/clients.md` says of it is what this found."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.sizes import MEBIBYTE
from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.proxy import ProxyMode
from tests.chaos.testbed.testbed import until
from tests.clients.debian_libraries import PHPSSH2, ErlangSFTP, NetSFTP, NetSFTPForeign, PHPSecLib
from tests.clients.driver import Abort, AccessDetails, Client, Invocation
from tests.clients.files import sized_file
from tests.clients.gateway_under_test import GatewayUnderTest
from tests.clients.libraries import AsyncSSH, Paramiko, SSH2SFTPClient
from tests.clients.openssh import OpenSSHSCP, OpenSSHSFTP
from tests.clients.putty import PSCP, PSFTP
from tests.clients.relay import Relay
from tests.clients.transfer_programs import CFTP, LFTP, SSHFS, Curl, Rclone

CLIENTS: Final[tuple[Client, ...]] = (
    OpenSSHSFTP(),
    OpenSSHSCP(),
    LFTP(),
    PSFTP(),
    PSCP(),
    Curl(),
    Rclone(),
    Paramiko(),
    SSH2SFTPClient(),
    AsyncSSH(),
    PHPSecLib(),
    PHPSSH2(),
    NetSFTPForeign(),
    NetSFTP(),
    ErlangSFTP(),
    CFTP(),
    SSHFS(),
)
# Bytes of an upload that is brought down, and bytes a second of the line meanwhile.
_SIZE: Final = 1_500_000
_BROKEN_SIZE: Final = 5_000_000
_RATE: Final = 6_000_000
# Bytes a second for a client that limits itself.
_OWN_RATE: Final = 1_000_000
_NOT_CSV: Final = "only .csv files are accepted"
_TOO_LARGE: Final = "it must be smaller than 30 MB"
_ONLY_SFTP: Final = "this service only accepts SFTP uploads"


@dataclass
class Row:
    """What a client did: a cell for each flow, as documented, and what went wrong."""

    client: str
    version: str
    upload: str = "–"
    temporary: str = "–"
    resume: str = "–"
    abort: str = "–"
    refusal: str = "–"
    unstored: str = "–"
    notes: str = ""
    failures: list[str] = field(default_factory=list)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The cells that must not change unnoticed: all but the version."""
        return (
            *(self.client, self.upload, self.temporary, self.resume, self.abort),
            *(self.refusal, self.unstored, self.notes),
        )


async def try_client(gateway: GatewayUnderTest, client: Client, campaign_id: str, seed: int = 1) -> Row:
    """Run every flow that the client has."""
    trial = _Trial(gateway, client, campaign_id, random.Random(seed))
    row = Row(client.name, client.version, notes=client.notes)
    shown = "shown" if client.shows_refusals else "status only" if client.heeds_refusals else "status 0"
    row.upload, row.temporary, row.resume, row.refusal, *aborts = await asyncio.gather(
        trial.cell("upload", trial.upload, client.upload_by),
        trial.cell("temp-name flow", trial.temporary, client.temporary_by),
        trial.cell("resume", trial.resume, client.resume_by),
        trial.cell("refusal", trial.refusal, shown),
        *(trial.abort_cell(way) for way in client.aborts),
    )
    row.abort = ", ".join(aborts)
    row.failures = trial.failures
    row.unstored = "above 0" if client.heeds_close else "0"
    return row


async def try_unstored(gateway: GatewayUnderTest, clients: Mapping[str, Client], seed: int = 2) -> list[str]:
    """Upload with each client (by campaign) while the bucket refuses: what is not as its `heeds_close` says."""
    chance = random.Random(seed)
    # This node gives up sooner than after 10 s, since some clients try three times.
    node = await gateway.testbed.add_node("sftpd", sftp__acknowledge_timeout="2", sftp__compatibility="wide")

    async def status_of(campaign_id: str, client: Client) -> str | None:
        file = sized_file(chance, 5_000)
        access = gateway.access_for(campaign_id, node.port)
        ended = await gateway.run(client.upload(access, gateway.path_of(file), file.name))
        if await gateway.fetch_taken(campaign_id, file.name):
            return f"{client.name}: taken though the bucket was away"
        if (ended.status != 0) != client.heeds_close:
            return f"{client.name}: status {ended.status} for an upload that was not stored: {ended.screen}"
        return None

    await gateway.testbed.proxy.become(ProxyMode.FORBIDDING)
    try:
        found = await asyncio.gather(*(status_of(*pair) for pair in clients.items()))
    finally:
        await gateway.testbed.proxy.become(ProxyMode.PASSING)
    return [line for line in found if line is not None]


class _Trial:
    def __init__(
        self, gateway: GatewayUnderTest, client: Client, campaign_id: str, chance: random.Random
    ) -> None:
        self.failures: list[str] = []
        # At most three of this client run at once.
        self._turns = asyncio.Semaphore(3)
        self._gateway = gateway
        self._client = client
        self._campaign_id = campaign_id
        self._chance = chance
        self._node = gateway.node_for(client)

    async def cell(self, what: str, flow: Callable[[], Awaitable[None]], by: str | None) -> str:
        """`by` where the flow went well, "–" where the client has no such flow."""
        if by is None:
            return "–"
        try:
            async with self._turns:
                await flow()
        except (AssertionError, TimeoutError) as error:
            self.failures.append(f"{self._client.name}, {what}: {error}")
            return "fails"
        return by

    async def abort_cell(self, way: Abort) -> str:
        """The way, as documented."""
        by = (self._client.own_abort_by or "") if way is Abort.OWN else way.value
        return await self.cell(f"abort {way}", lambda: self.abort(way), by)

    async def upload(self) -> None:
        """A small one, and one of many blocks; exit status 0, and one outcome."""
        client, access = self._client, self._access()
        if client.needs_wide:
            async with self._file(200) as file:
                strict = self._gateway.access_for(self._campaign_id, self._gateway.node.port)
                ended = await self._gateway.run(client.upload(strict, self._gateway.path_of(file), file.name))
                assert ended.status != 0, "it also speaks to a gateway that is strict"
        flows = [client.upload, client.upload]
        if isinstance(client, SSH2SFTPClient):
            flows.append(client.upload_in_parallel)
        for flow, size in zip(flows, (200, _SIZE, _SIZE), strict=False):
            async with self._file(size) as file:
                await self._upload_whole(flow(access, self._gateway.path_of(file), file.name), file)

    async def temporary(self) -> None:
        access = self._access()
        async with self._file(_SIZE) as file:
            path = self._gateway.path_of(file)
            await self._upload_whole(self._client.upload_renamed(access, path, file.name), file)

    async def _upload_whole(self, invocation: Invocation, file: UploadFile) -> None:
        """Run a client that is to succeed.

        If it waits for CLOSE, the upload must have been taken when it ends, not only some time later: a script that ends
        sooner may take the connection with it, and its CLOSE is lost then.
        """
        ended = await self._gateway.run(invocation)
        assert ended.status == 0, f"status {ended.status}: {ended.screen}"
        if self._client.awaits_close:
            taken = await self._gateway.fetch_taken(self._campaign_id, file.name)
            assert taken, f"it ended with status 0 before {file.name} was taken: {ended.screen}"
        await self._gateway.check_accepted_once(self._campaign_id, file)

    async def resume(self) -> None:
        """After a cut in the middle, the client goes on from there."""
        async with self._file(_BROKEN_SIZE) as file:
            path = self._gateway.path_of(file)
            async with self._gateway.line(self._node, _RATE) as line:
                access = self._access(line)
                aborted = await self._gateway.abort(
                    self._client,
                    self._client.upload_slowly(access, path, file.name, _RATE),
                    line,
                    Abort.CUT,
                    at=_BROKEN_SIZE // 3,
                )
            assert aborted.hit, aborted.ended.screen
            kept = await self._until_kept(file)
            assert 0 < kept < len(file.content), f"{kept} bytes kept"
            async with self._gateway.line(self._node, None) as line:
                access = self._access(line)
                await self._upload_whole(self._client.resume(access, path, file.name), file)
                rest = len(file.content) - kept
                assert line.moved < rest * 1.05 + 50_000, f"{line.moved} bytes sent to resume after {kept}"

    async def _until_kept(self, file: UploadFile) -> int:
        """The bytes of its partial, once no handle is open on it."""
        kept = [0]

        async def closed() -> bool:
            for path in (self._node.spool / self._campaign_id).glob("*.json"):
                # Other flows of this client run at the same time, and their notes go at any moment.
                with contextlib.suppress(FileNotFoundError):
                    note = json.loads(path.read_text())
                    if note["name"] == file.name and note["state"] == "cut":
                        kept[0] = path.with_suffix(".bytes").stat().st_size
                        return True
            return False

        await until(closed, "the partial", 10)
        return kept[0]

    async def abort(self, way: Abort) -> None:
        """Brought down in the middle: nothing comes of it; then a full upload is processed once."""
        # On a busy machine the client may be through before it is brought down. Then it is tried again over a slower line.
        for rate in (_RATE, _RATE // 4, _RATE // 16):
            async with self._file(_BROKEN_SIZE) as file:
                if await self._abort_over(rate, way, file):
                    path = self._gateway.path_of(file)
                    await self._upload_whole(self._client.upload(self._access(), path, file.name), file)
                    return
        raise AssertionError("each upload was whole before it could be aborted")

    async def _abort_over(self, rate: int, way: Abort, file: UploadFile) -> bool:
        """Bring an upload down in its middle. False where all of its bytes were stored before that took effect."""
        client, gateway = self._client, self._gateway
        path = gateway.path_of(file)
        at = self._chance.randint(_BROKEN_SIZE // 6, _BROKEN_SIZE // 3)
        async with gateway.line(self._node, rate) as line:
            access = self._access(line)
            if way is Abort.OWN:
                invocation = client.give_up(access, path, file.name, after=at, rate=min(rate, _OWN_RATE))
            else:
                invocation = client.upload_slowly(access, path, file.name, rate)
            aborted = await gateway.abort(client, invocation, line, way, at=at)
        if not aborted.hit:
            return False
        # A CLOSE that is being answered is seen through: what it stores is stored before the handle is gone.
        spool = self._node.spool / self._campaign_id

        async def is_at_rest() -> bool:
            notes: dict[str, str] = {}
            for note in spool.glob("*.json"):
                with contextlib.suppress(FileNotFoundError):
                    notes[note.stem] = note.read_text()
            # The note goes before the bytes are stored, and the bytes after it.
            storing = [held for held in spool.glob("*.bytes") if held.stem not in notes]
            states = [json.loads(text) for text in notes.values()]
            return not storing and all(
                state["name"] != file.name or state["state"] != "writing" for state in states
            )

        await until(is_at_rest, "the end of the aborted upload", 20)
        taken = await gateway.fetch_taken(self._campaign_id, file.name)
        assert all(sha256 == file.sha256 for _, sha256, _ in taken), (
            f"processed though cut off; {aborted.ended}"
        )
        return not taken

    async def refusal(self) -> None:
        """A name that is refused: the status says so, and the screen why where the client shows it."""
        async with self._file(200) as file:
            await self._refused(self._client.upload, file, "refused.txt", _NOT_CSV)
            if isinstance(self._client, OpenSSHSCP):
                # An older protocol.
                await self._refused(self._client.old_protocol, file, file.name, _ONLY_SFTP)
        if not self._client.heeds_close:
            # Only what is refused before CLOSE reaches them: the size is, at a WRITE.
            async with self._file(30 * MEBIBYTE) as file:
                await self._refused(self._client.upload, file, file.name, _TOO_LARGE)

    async def _refused(
        self, flow: Callable[[AccessDetails, Path, str], Invocation], file: UploadFile, name: str, line: str
    ) -> None:
        ended = await self._gateway.run(flow(self._access(), self._gateway.path_of(file), name))
        heeded = ended.status != 0
        assert heeded == self._client.heeds_refusals, f"status {ended.status} after a refusal: {ended.screen}"
        shown = line in ended.screen
        assert shown == self._client.shows_refusals, f"the screen after a refusal: {ended.screen}"

    def _access(self, line: Relay | None = None) -> AccessDetails:
        """Access to the client's node, over that line where one is given."""
        return self._gateway.access_for(self._campaign_id, line.port if line else self._node.port)

    @asynccontextmanager
    async def _file(self, size: int) -> AsyncIterator[UploadFile]:
        file = sized_file(self._chance, size)
        try:
            yield file
        finally:
            await asyncio.to_thread(self._gateway.forget, file)
