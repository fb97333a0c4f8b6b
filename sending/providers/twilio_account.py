"""An account at Twilio, as an agency hands it in."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """The five values of an internal campaign, or the public channel's own. The secret stays out of its `repr`."""

    account_sid: str
    key_sid: str
    key_secret: str = field(repr=False)
    service_sid: str
    sender_name: str
