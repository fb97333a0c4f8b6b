"""What asyncssh tells of a connection: that it asks for a login, that its key is proven, and how it ended."""

import time
from typing import Any, Final

import asyncssh
from structlog.stdlib import BoundLogger

from audit.details import EventDetails
from audit.events import Actor, AuditEvent
from config.errors import ConfigError
from config.identifiers import is_campaign_id
from config.logs import get_logger
from keys.access import Access
from sftpd import metrics
from sftpd.connections.algorithms import refuse_sha1_signatures
from sftpd.connections.front_state import FrontState
from sftpd.connections.live_connections import LiveConnection
from sftpd.connections.login import (
    LoginRefusal,
    escape_user_name,
    find_login_refusal,
)
from sftpd.connections.login_audit import LoginEvent
from sftpd.connections.ssh_connection import DisconnectWithText, GuardedConnection
from sftpd.session.channel import GuardedChannel, UploadChannel, open_channel
from sftpd.session.drop_box import DropBox
from sftpd.sessions import Session

logger = get_logger("sftpd")

# How many times the question about access is asked, where the access changes before the answer is there.
_ASK_AGAIN: Final = 3

UNAVAILABLE: Final = "logins are not possible at the moment: please try again in a few minutes"
TOO_MANY_SESSIONS: Final = "this campaign has as many sessions as it may: please try again when one has ended"
OTHER_USER_NAME: Final = "a connection can't change its user name"


class FrontSSHServer(asyncssh.SSHServer):
    """asyncssh's hooks for one connection."""

    def __init__(self, front: FrontState, live_connection: LiveConnection) -> None:
        self._front: Final = front
        self._live_connection: Final = live_connection
        self._ssh_connection: GuardedConnection | None = None
        # The user name as the client gave it, or None until it asks for a login.
        self._user_name: str | None = None
        self._access: Access | None = None
        self._generation = -1
        self._keys_tried: set[str] = set()
        # The fingerprint of the last key that may come in. Its signature is yet to be checked.
        self._fingerprint: str | None = None
        self._refusal = LoginRefusal.NO_KEY
        self._channels = 0
        # Those that are closed, but which asyncssh gives back only when the loop comes round.
        self._closed_channels = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the connection, so that others can end it."""
        assert isinstance(conn, GuardedConnection)  # noqa: S101 - the listener makes no other
        self._ssh_connection = self._live_connection.ssh_connection = conn
        if self._live_connection.dropped:
            conn.abort()

    async def begin_auth(self, username: str) -> bool:
        """Look the campaign up. It is the only question that a login asks, and a name of another form asks none."""
        if self._user_name is not None:
            raise DisconnectWithText(asyncssh.DISC_PROTOCOL_ERROR, OTHER_USER_NAME)
        self._user_name = username
        if is_campaign_id(username):
            await self._fetch_access(username)
            self._refusal = LoginRefusal.NO_KEY
        return True

    async def _fetch_access(self, campaign_id: str) -> None:
        # A client that leaves before the answer has not failed, since we may never have had one.
        self._refusal = LoginRefusal.UNAVAILABLE
        try:
            for _ in range(_ASK_AGAIN):
                self._generation = self._front.access_lookup.generation
                self._access = await self._front.access_lookup.fetch(campaign_id)
                if self._generation == self._front.access_lookup.generation:
                    return
        except ConfigError as error:
            self._front.sampled_log.log("login_unavailable", self._front.now(), reason=str(error))
            raise DisconnectWithText(asyncssh.DISC_SERVICE_NOT_AVAILABLE, UNAVAILABLE) from None

    def public_key_auth_supported(self) -> bool:
        """Logins are by public key, and by nothing else."""
        return True

    def password_auth_supported(self) -> bool:
        """Logins are by public key only."""
        return False

    def kbdint_auth_supported(self) -> bool:
        """Logins are by public key only."""
        return False

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this key may come in from this address. If so, asyncssh then checks the client's signature."""
        fingerprint = key.get_fingerprint()
        self._keys_tried.add(fingerprint)
        most = self._front.settings.max_keys_tried
        if len(self._keys_tried) > most:
            text = f"more than {most} keys were tried: offer only the right one (ssh -i KEY -o IdentitiesOnly=yes)"
            raise DisconnectWithText(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, text)
        if not self._front.settings.allow_sha1_signatures:
            refuse_sha1_signatures(key)
        if self._generation != self._front.access_lookup.generation and is_campaign_id(username):
            await self._fetch_access(username)
        refusal = find_login_refusal(self._access, fingerprint, self._live_connection.address)
        self._refusal = refusal or LoginRefusal.SIGNATURE
        self._fingerprint = None if refusal else fingerprint
        return refusal is None

    def auth_completed(self) -> None:
        """Let a proven key in, unless its campaign has too many sessions."""
        connection, access, fingerprint = self._ssh_connection, self._access, self._fingerprint
        assert connection is not None  # noqa: S101 - there is a login on it
        if access is None or fingerprint is None:
            # This can't happen, because asyncssh calls us only after `validate_public_key` said yes. If it ever does, nobody
            # gets in.
            connection.abort()
            return
        connection.logged_in = True
        self._front.shutouts.record_success(self._live_connection.address)
        excess = self._front.limits.log_in(self._live_connection, access.campaign_id)
        if excess is not None:
            self._refusal = LoginRefusal.SESSIONS
            connection.end(asyncssh.DISC_TOO_MANY_CONNECTIONS, TOO_MANY_SESSIONS)
            return
        self._live_connection.session = Session(
            campaign_id=access.campaign_id,
            connection_id=self._live_connection.connection_id,
            source_address=str(self._live_connection.address),
            fingerprint=fingerprint,
            client_version=str(connection.get_extra_info("client_version", "")),
        )
        connection.budget.log_in(access.campaign_id, self._live_connection.connection_id)
        self._front.live_sessions.add(access.campaign_id, self._live_connection)
        self._front.login_audit.note(
            LoginEvent(
                AuditEvent.LOGIN_ACCEPTED, access.campaign_id, self._live_connection.session.sender.actor
            )
        )
        metrics.LOGINS.labels("accepted").inc()
        metrics.LOGIN_SECONDS.observe(time.monotonic() - self._live_connection.began)
        self._log(self._live_connection.session).info("login_accepted", fingerprint=fingerprint)
        if self._generation != self._front.access_lookup.generation:
            # Some access has changed since the answer.
            self._front.access_lookup.request_recheck(access.campaign_id)

    def session_requested(self) -> tuple[GuardedChannel, UploadChannel]:
        """Open a channel, unless the connection has as many as it may."""
        session, connection = self._live_connection.session, self._ssh_connection
        most = self._front.settings.max_channels
        if session is None or connection is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "not logged in")
        if self._channels >= most or self._channels + self._closed_channels >= 2 * most:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"at most {most} channels of one connection"
            )
        self._channels += 1
        return open_channel(
            connection,
            connection.budget,
            UploadChannel(
                session,
                connection.budget,
                lambda channel: self._drop_box(channel, session),
                self._channel_closed,
                self._channel_ended,
                self._front.channel_tasks,
            ),
            others=self._channels - 1,
        )

    def _drop_box(self, channel: "asyncssh.SSHServerChannel[bytes]", session: Session) -> DropBox:
        front = self._front
        return DropBox(channel, session, front.spool, front.intake, front.received_uploads, front.settings)

    def _channel_closed(self) -> None:
        """Its place is free for what comes next, which may be in the same piece of data as the CLOSE."""
        self._channels -= 1
        self._closed_channels += 1

    def _channel_ended(self) -> None:
        self._closed_channels -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back all that the connection held, and log its one summary line."""
        live_connection, session = self._live_connection, self._live_connection.session
        self._front.limits.leave(live_connection)
        if session is not None:
            self._front.live_sessions.remove(session.campaign_id, live_connection)
            self._front.limits.log_out(session.campaign_id)
            metrics.CONNECTIONS.labels("logged_in").inc()
            seconds = round(time.monotonic() - live_connection.began, 3)
            cause = live_connection.ended_because or "client"
            self._log(session).info(
                "connection_ended", seconds=seconds, ended_by=cause, fingerprint=session.fingerprint
            )
            details: EventDetails = {"seconds": seconds, "reason": cause}
            self._front.login_audit.note(
                LoginEvent(AuditEvent.SESSION_ENDED, session.campaign_id, session.sender.actor, details)
            )
        elif self._ssh_connection is not None and self._ssh_connection.asked_for_login:
            # There is no name where it has control characters: asyncssh ends such a connection before it tells us.
            self._settle_refused_login(self._user_name or "", exc)
        else:
            outcome = "dropped" if live_connection.dropped else "probe"
            metrics.CONNECTIONS.labels(outcome).inc()
            cause = type(exc).__name__ if isinstance(exc, asyncssh.DisconnectError) else outcome
            facts: dict[str, Any] = {}
            if (
                self._ssh_connection is not None
                and (offer := self._ssh_connection.rejected_offer) is not None
            ):
                facts = {"not_in_common": offer.what, "offered": offer.algorithms, "client": offer.client}
            self._front.sampled_log.log(
                "connection_ended",
                self._front.now(),
                kind=f"connection_ended {cause}",
                outcome=outcome,
                reason=cause,
                connection_id=live_connection.connection_id,
                source_address=str(live_connection.address),
                **facts,
            )

    def _settle_refused_login(self, user_name: str, exc: Exception | None) -> None:
        front, live_connection, refusal = self._front, self._live_connection, self._refusal
        outcome = "login_unavailable" if refusal is LoginRefusal.UNAVAILABLE else "login_refused"
        metrics.CONNECTIONS.labels("dropped" if live_connection.dropped else outcome).inc()
        metrics.LOGINS.labels(refusal.value).inc()
        now = front.now()
        # Only what the client itself got wrong counts as a failure, and not that we lacked a database or room.
        excused = {LoginRefusal.UNAVAILABLE, LoginRefusal.SESSIONS}
        is_failure = (
            not live_connection.dropped and not front.access_lookup.is_away and refusal not in excused
        )
        if is_failure and front.shutouts.record_failure(live_connection.address, now):
            metrics.SHUTOUTS.inc()
            front.sampled_log.log(
                "address_shut_out",
                now,
                source_address=str(live_connection.address),
                seconds=front.settings.shutout_duration,
            )
        if is_campaign_id(user_name) and refusal is not LoginRefusal.UNAVAILABLE:
            actor = Actor(
                connection_id=live_connection.connection_id, source_address=str(live_connection.address)
            )
            if self._access is not None:
                front.login_audit.note_known(user_name)
            front.login_audit.note_refused(user_name, actor, refusal.value, self._keys_tried)
        front.sampled_log.log(
            outcome,
            now,
            kind=f"{outcome} {refusal.value}",
            reason="dropped" if live_connection.dropped else refusal.value,
            error=type(exc).__name__ if exc else None,
            user_name=escape_user_name(user_name),
            keys_tried=len(self._keys_tried),
            connection_id=live_connection.connection_id,
            source_address=str(live_connection.address),
            seconds=round(time.monotonic() - live_connection.began, 3),
        )

    def _log(self, session: Session) -> BoundLogger:
        bound: BoundLogger = logger.bind(
            connection_id=session.connection_id,
            campaign_id=session.campaign_id,
            source_address=session.source_address,
        )
        return bound
