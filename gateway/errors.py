"""The exit statuses (2-gateway.md §5), the errors of this room, and the exit status of every room's errors.

A parent learns by the same statuses why a child process ended. Importing this opens nothing and costs little.
"""

from enum import IntEnum

from billing.errors import BillingError
from campaigns.errors import CampaignsError, SecretsKeyError
from config.errors import ConfigError
from database.errors import ServiceUnreachable
from keys.errors import HostKeyError, KeysError
from messages.errors import MessagesError
from notifications.errors import MailUnavailable, NotificationError
from processing.errors import ProcessingError, TemporaryTrouble
from sending.errors import SendingError


class ExitStatus(IntEnum):
    """What a caller learns: done, refused by a rule, usage or configuration, a service away."""

    DONE = 0
    REFUSED = 1
    CONFIGURATION = 2
    UNREACHABLE = 3


class GatewayError(Exception):
    """What was asked can't be done; the text is for the person at the command line."""


class CallRefused(GatewayError):  # noqa: N818 - a fact, read as one
    """A rule forbids it, or what it is about doesn't exist."""


class CallMisused(GatewayError):  # noqa: N818 - a fact, read as one
    """The call itself is wrong: an argument, or a file that can't be read."""


class ProviderUnreachable(GatewayError):  # noqa: N818 - a fact, read as one
    """A provider of messages didn't answer: the same call may succeed later."""


class EmbeddedError(GatewayError):
    """An embedded server can't run; the text says which, why and what to do."""


# The rooms' own errors, the more special before the more general, with the exit status of each (2-gateway.md §5).
_STATUSES: tuple[tuple[type[Exception], ExitStatus], ...] = (
    (CallRefused, ExitStatus.REFUSED),
    (CallMisused, ExitStatus.CONFIGURATION),
    (ProviderUnreachable, ExitStatus.UNREACHABLE),
    (HostKeyError, ExitStatus.CONFIGURATION),
    (SecretsKeyError, ExitStatus.CONFIGURATION),
    (CampaignsError, ExitStatus.REFUSED),
    (KeysError, ExitStatus.REFUSED),
    (MessagesError, ExitStatus.REFUSED),
    (SendingError, ExitStatus.REFUSED),
    (BillingError, ExitStatus.REFUSED),
    (ServiceUnreachable, ExitStatus.UNREACHABLE),
    (ConfigError, ExitStatus.CONFIGURATION),
    (TemporaryTrouble, ExitStatus.UNREACHABLE),
    (ProcessingError, ExitStatus.REFUSED),
    (MailUnavailable, ExitStatus.UNREACHABLE),
    (NotificationError, ExitStatus.REFUSED),
    (EmbeddedError, ExitStatus.UNREACHABLE),
)


def exit_status_of(error: Exception) -> ExitStatus | None:
    """The exit status of an error that a person can do something about; None for a fault of ours."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return None
