"""The errors of this room. Their texts are for the admin who made the call, and hold no personal data."""

from collections.abc import Sequence


class CampaignsError(Exception):
    """A rule refused an admin's call; the text says what is wrong and what to do. Nothing was stored."""


class CampaignNotFound(CampaignsError):  # noqa: N818 - a fact, read as one
    """No campaign has this id."""


class CampaignRefused(CampaignsError):  # noqa: N818 - a fact, read as one
    """What was asked of a campaign breaks a rule: its template, id, address, sources, or a move its status doesn't allow.

    A refused template gives one line for each refusal, and the warnings that it would have got beside them.
    """

    def __init__(self, text: str, warnings: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.warnings = tuple(warnings)


class MessagingServiceTaken(CampaignRefused):
    """Another campaign has the messaging service with another account at Twilio."""


class SecretsKeyError(CampaignsError):
    """The setting `SECRETS__KEY` is missing, or isn't the one that the secrets in the database are encrypted with."""


class SecretUnreadable(CampaignsError):  # noqa: N818 - a fact, read as one
    """One secret can't be read: its key is lost, or somebody moved or changed it in the database."""


class PeopleRefused(CampaignsError):  # noqa: N818 - a fact, read as one
    """What was asked of an agency, a user or a member breaks a rule."""


class NotOfficer(PeopleRefused):
    """The address is of a domain whose people create and own no campaigns, and wasn't raised."""


class AddressUnknown(PeopleRefused):
    """The address is of a domain that nobody here has."""


class AgencyNotFound(CampaignsError):  # noqa: N818 - a fact, read as one
    """No agency has this name, or this id."""


class UserNotFound(CampaignsError):  # noqa: N818 - a fact, read as one
    """Nobody here has this address."""
