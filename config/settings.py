"""Settings: a TOML file, overridden by systemd credentials, overridden by environment variables. Read at the entry point only."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from config.console_section import ConsoleSettings
from config.environment import Environment
from config.errors import ConfigurationError
from config.logs import LogSettings
from config.sections import (
    BillingSettings,
    DatabaseSettings,
    MessageSettings,
    OpsSettings,
    RetentionSettings,
    S3Settings,
    SFTPSettings,
    SMTPSettings,
    WorkerSettings,
)
from config.sending_sections import APISettings, SecretsSettings, SendingSettings

PREFIX: Final = "SFTP_GATEWAY_"
CONFIG_VARIABLE: Final = "SFTP_GATEWAY_CONFIG"


class Settings(BaseSettings):
    """Everything that can be set. Each room gets its section."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )

    environment: Environment = Field(
        description="test (20 rows a file, simulator numbers, a training line in each message), production, or "
        "loadtest (sends nothing)."
    )
    database: DatabaseSettings
    s3: S3Settings
    smtp: SMTPSettings
    sftp: SFTPSettings = Field(default_factory=SFTPSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    messages: MessageSettings = Field(default_factory=MessageSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    ops: OpsSettings = Field(default_factory=OpsSettings)
    sending: SendingSettings = Field(default_factory=SendingSettings)
    secrets: SecretsSettings = Field(default_factory=SecretsSettings)
    api: APISettings = Field(default_factory=APISettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    billing: BillingSettings = Field(default_factory=BillingSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then credentials, then the file (which `load_settings` passes as arguments)."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return env_settings, init_settings
        credentials = NestedSecretsSettingsSource(
            file_secret_settings, secrets_dir=folder, secrets_dir_missing="error"
        )
        return env_settings, credentials, init_settings


def load_settings(path: Path | None) -> Settings:
    """Read the settings from `path` (or the file that `SFTP_GATEWAY_CONFIG` names, or none) and the environment.

    Raises ConfigurationError, one line that names every wrong setting, where it stands and what is allowed.
    """
    named = path or (Path(value) if (value := os.environ.get(CONFIG_VARIABLE)) else None)
    values = _read_toml(named) if named else {}
    unknown = [*_unknown_variables(os.environ), *_unknown_credentials()]
    if unknown:
        raise ConfigurationError("; ".join(unknown))
    try:
        return Settings(**values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ConfigurationError("; ".join(_explain(detail, named) for detail in details)) from None
    except SettingsError as error:
        # The library's text names the field; its cause would hold the value.
        raise ConfigurationError(f"{error}: the value can't be read") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return _without_empty(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is not TOML: {error}") from None


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """An empty text counts as not set, as in a variable: the descriptions say what empty means."""
    return {
        name: _without_empty(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value != ""
    }


def setting_names(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's dotted name, such as `database.url`."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def variable_of(name: str) -> str:
    """The environment variable of a dotted name: `database.url` → `SFTP_GATEWAY_DATABASE__URL`."""
    return PREFIX + name.upper().replace(".", "__")


def _unknown_variables(variables: Mapping[str, str]) -> Iterator[str]:
    known = {variable_of(name) for name in setting_names()} | {CONFIG_VARIABLE}
    for variable in sorted(variables):
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            yield f"the environment variable {variable} is not a setting{_nearest(variable.upper(), known)}"


def _unknown_credentials() -> Iterator[str]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        known = {variable_of(name) for name in setting_names()}
        try:
            entries = sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
        except OSError as error:
            raise ConfigurationError(
                f"the folder of credentials {folder} (CREDENTIALS_DIRECTORY) can't be read: {error.strerror}"
            ) from None
        for entry in entries:
            if entry.upper().startswith(PREFIX) and entry.upper() not in known:
                yield f"the credential {entry} is not a setting{_nearest(entry.upper(), known)}"


def _nearest(name: str, known: set[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else "; docs/settings.md lists them all"


def _explain(detail: ErrorDetails, path: Path | None) -> str:
    """One wrong setting as a person would want it told, without the value, which may be a secret."""
    # A place in a list has no variable of its own.
    name = ".".join(part for part in detail["loc"] if isinstance(part, str))
    known = set(setting_names())
    where = f" (or in {path})" if path else ""
    match detail["type"]:
        case "missing":
            missing = sorted(n for n in known if n == name or n.startswith(f"{name}.")) or [name]
            required = [n for n in missing if _is_required(n)]
            listed = ", ".join(variable_of(n) for n in required or missing)
            allowed = "; allowed: test, production, loadtest" if name == "environment" else ""
            return f"the setting {name} is missing: set {listed}{where}{allowed}"
        case "extra_forbidden":
            return f"the setting {name} does not exist{_nearest(name, known)}"
        case "enum" | "literal_error":
            return f"the setting {name} ({variable_of(name)}) must be {detail['ctx']['expected']}"
        case _:
            text = detail["msg"].removeprefix("Value error, ")
            return f"the setting {name} ({variable_of(name)}) is wrong: {text[:1].lower()}{text[1:]}"


def _is_required(name: str) -> bool:
    model: type[BaseModel] = Settings
    *sections, last = name.split(".")
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type)  # noqa: S101 - sections are models
        model = annotation
    return model.model_fields[last].is_required()
