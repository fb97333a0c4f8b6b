"""The section of the settings about the console, the pages for people."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.section import HTTPURL, Domains, Networks, Port, Seconds, Section


def _check_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 32:
        message = "it must have 32 characters at least: make one with `openssl rand -base64 32`"
        raise ValueError(message)
    return value


ConsoleSecret = Annotated[SecretStr, AfterValidator(_check_secret)]


class ConsoleSettings(Section):
    """The console: pages for officers, ops and admins."""

    processes: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Console processes started by `run` on this node; 0 switches the part off."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=8081, description="Port to listen on; 0 for any free one.")
    url: HTTPURL | None = Field(
        default=None,
        description=(
            "Address under which people reach the console, such as https://console.agency.gov.sg: it stands in e-mails, and "
            "forms are taken from no other origin. Empty: whatever address the browser asked for."
        ),
    )
    api_url: HTTPURL | None = Field(
        default=None,
        description=(
            "Address of the HTTP API for agencies, such as https://sms.agency.gov.sg, as pages tell it. Empty: the name by which "
            "the browser reached the console, with the port of section `api`."
        ),
    )
    sftp_server: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$",
        description=(
            "Name of the SFTP server for agencies, HOST or HOST:PORT, as pages tell it. Empty: the name by which the browser "
            "reached the console, with the port of section `sftp`."
        ),
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM), where this part speaks TLS by itself."
    )
    tls_key: Path | None = Field(default=None, description="The certificate's key (PEM).")
    trusted_proxies: Networks = Field(
        default_factory=list,
        description=(
            "TLS fronts and load balancers: plain HTTP is taken from them, and their X-Forwarded-For is believed, or a PROXY "
            "protocol header (v1, v2) at a connection's beginning."
        ),
    )
    secret: ConsoleSecret | None = Field(
        default=None,
        description=(
            "What login codes are kept under, the same on all nodes: 32 characters at least (`openssl rand -base64 32`). Needed "
            "only where the console runs."
        ),
    )
    login_domains: Domains = Field(
        default=["gov.sg", "edu.sg", "synapxe.sg", "aic.sg"],
        description=(
            "Domains whose addresses may log in, and of all domains below them. Beside them those that agencies have "
            "(`agency add --domain`) may."
        ),
    )
    code_life: Seconds = Field(default=600, description="Seconds for which a login code is good.")
    idle: Seconds = Field(
        default=1800, description="Seconds after which a session ends in which nothing was asked for."
    )
    session: Seconds = Field(default=43_200, description="Seconds after which every session ends.")
    step_up: Seconds = Field(
        default=900,
        description="Seconds for which a code suffices for keys, secrets, new owners and deletion; then a fresh one is asked.",
    )
    checked_life: Seconds = Field(
        default=3600,
        description="Seconds for which a checked file waits to be sent; a worker then forgets it, by its own value of this.",
    )
    drain_timeout: Seconds = Field(
        default=10,
        description="Seconds that a process has to answer the requests it has when it is told to stop.",
    )

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls_certificate and tls_key belong together: set both or none"
            raise ValueError(message)
        return self
