"""The sections of the settings about what leaves: the sending core, its providers, secrets, and the HTTP part for callbacks."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from config.section import HTTPURL, LookUps, Networks, Port, Seconds, SecretsKey, Section, SMPPErrors


class PublicSendingSettings(Section):
    """The public channel: messages from `gov.sg`, or from `Postman` in the test environment."""

    provider: Literal["smpp", "twilio", "simulator", "none"] | None = Field(
        default=None,
        description=(
            "Who sends its messages; none: they wait. Empty: simulator in the test environment, none in production. In "
            "loadtest nothing is sent, whatever stands here."
        ),
    )
    sender_id: str = Field(
        default="gov.sg",
        pattern=r"^[A-Za-z0-9 ._-]{1,11}$",
        description="Sender ID that recipients see. The test environment's is Postman.",
    )
    rate: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = Field(
        default=100, description="Segments a second, over all nodes together."
    )


class InternalSendingSettings(Section):
    """The internal channel: each campaign's own messaging service at Twilio."""

    rate: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = Field(
        default=10, description="Segments a second of each messaging service, over all nodes together."
    )


class TwilioSettings(Section):
    """Twilio: where it is, how it calls back, and the public channel's own account, where that goes through Twilio."""

    base_url: HTTPURL | None = Field(
        default=None, description="Address that stands for both of Twilio's; empty: Twilio's own."
    )
    callback_base_url: HTTPURL | None = Field(
        default=None,
        description="Address under which Twilio reaches the part `api`, such as https://sms.agency.gov.sg; empty: polling only.",
    )
    account_sid: str | None = Field(default=None, description="The public channel's account, AC….")
    key_sid: str | None = Field(default=None, description="Its API key, SK….")
    key_secret: SecretStr | None = Field(default=None, description="The API key's secret.")
    service_sid: str | None = Field(default=None, description="Its messaging service, MG….")
    poll_after: Seconds = Field(
        default=600, description="Seconds without news after which a message is polled."
    )
    poll_every: Seconds = Field(default=30, description="Seconds between polls.")


class SMPPSettings(Section):
    """The aggregator of the public channel that speaks SMPP 3.4: where it is, and how it wants things (its on-boarding tells)."""

    host: str | None = Field(default=None, description="Its host; empty: none.")
    port: Port = Field(default=2775, description="Its port; many have another one for TLS.")
    system_id: str = Field(default="", max_length=15, description="The account that it gave.")
    password: SecretStr | None = Field(default=None, description="The account's password.")
    system_type: str = Field(
        default="", max_length=12, description="What the aggregator asks for here; mostly empty."
    )
    tls: Literal["verify", "none"] = Field(
        default="verify",
        description="verify: TLS 1.2 or newer, with a certificate for that host; none: plain TCP.",
    )
    binds: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="Connections of each sender process, as many as the aggregator allows in all."
    )
    window: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Submissions without an answer on each connection."
    )
    long_messages: Literal["udh", "sar", "payload"] = Field(
        default="udh",
        description="How a message of several segments is given: in parts by a header in the text, or by TLVs; or as a whole.",
    )
    default_alphabet: Literal["gsm7", "latin1"] = Field(
        default="gsm7", description="What data_coding 0 means there: GSM 7-bit, an octet each, or Latin-1."
    )
    receipt_id: Literal["as_is", "hex", "decimal"] = Field(
        default="as_is",
        description="In which form receipts write the id that a submission was answered with: the same, or as a hexadecimal "
        "or decimal number.",
    )
    errors: SMPPErrors = Field(
        default_factory=dict,
        description="What the aggregator's own error codes in receipts mean, by code.",
    )


class SimulatorSettings(Section):
    """The simulator of the test environment."""

    seconds: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=1, description="Seconds in which a message gets its last status."
    )


class SendingSettings(Section):
    """The sending core: hands the messages of accepted batches to their providers."""

    processes: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Sender processes started by `run` on this node; 0 switches sending off."
    )
    public: PublicSendingSettings = Field(default_factory=PublicSendingSettings)
    internal: InternalSendingSettings = Field(default_factory=InternalSendingSettings)
    smpp: SMPPSettings = Field(default_factory=SMPPSettings)
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)
    simulator: SimulatorSettings = Field(default_factory=SimulatorSettings)
    max_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        default=3, description="How often a failed message may be retried on request."
    )
    stale_after: Seconds = Field(
        default=86_400,
        description="Seconds after which a batch that could not begin is held until `batch release`.",
    )
    look_up_after: LookUps = Field(
        default=[60, 600, 3600],
        description="Seconds after which a hand-over whose outcome isn't known is looked up at the provider.",
    )
    unknown_after: Seconds = Field(
        default=172_800,
        description="Seconds after which a hand-over whose outcome stays unknown has expired.",
    )
    expire_after: Seconds = Field(
        default=288_000, description="Seconds after which whatever has no last status gets one."
    )
    sweep_every: Seconds = Field(default=60, description="Seconds between sweeps.")


class SecretsSettings(Section):
    """What secrets in the database are encrypted with. Needed only where Twilio accounts are stored or used."""

    key: SecretsKey | None = Field(
        default=None,
        description=(
            "32 random bytes in base64 (`openssl rand -base64 32`), the same on all nodes: opens the keys that API secrets are "
            "encrypted with and callbacks signed. The admin guide says how to change it."
        ),
    )


class APISettings(Section):
    """The HTTP API, and the server for callbacks of providers."""

    processes: Annotated[int, Field(ge=0)] = Field(
        default=0, description="API processes started by `run` on this node; 0 switches the part off."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=8080, description="Port to listen on; 0 for any free one.")
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM), where this part speaks TLS by itself."
    )
    tls_key: Path | None = Field(default=None, description="The certificate's key (PEM).")
    drain_timeout: Seconds = Field(
        default=10,
        description="Seconds that a process has to answer the requests it has when it is told to stop.",
    )
    trusted_proxies: Networks = Field(
        default_factory=list,
        description=(
            "TLS fronts and load balancers: plain HTTP is taken from them, and their X-Forwarded-For is believed, or a PROXY "
            "protocol header (v1, v2) at a connection's beginning."
        ),
    )
    rate: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10,
        description="Calls a second of each campaign, over all its keys and all nodes; `campaign rate` sets another one.",
    )
    decide_within: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = Field(
        default=25,
        description="Seconds within which a batch send has its verdict; later it is withdrawn, and answered 503.",
    )
    guide_url: HTTPURL = Field(
        default="https://postman-v2.guides.gov.sg",
        description="Where the guide is that refusals of unsupported characters name.",
    )

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls_certificate and tls_key belong together: set both or none"
            raise ValueError(message)
        return self
