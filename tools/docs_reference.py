"""The pages of the docs that are written by the code: `python -m tools.docs_reference docs/` writes settings.md, reasons.md and
metrics.md.

A test compares the pages with what this module would write: after a change of settings or texts, run `make docs`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.console_section import ConsoleSecret
from config.environment import Environment
from config.section import (
    HTTPURL,
    Count,
    DatabaseURL,
    Domains,
    LookUps,
    MailAddress,
    Networks,
    Port,
    Seconds,
    SecretsKey,
    Words,
)
from config.settings import CONFIG_VARIABLE, Settings, variable_of
from rules.codes import FindingCode
from rules.messages import DEFAULT_FOOTERS
from rules.texts import REASONS
from tools.metrics_reference import HEADER, INTRO, metric_sections
from tools.reason_examples import TEMPLATE, example_of

_WRITTEN: Final = "<!-- Written by `make docs` from the code: change it there. -->"
# A default that depends on the machine is told in brackets at the end of the description.
_TOLD_DEFAULT: Final = re.compile(r" \[(.+)\]$")
_KINDS: Final[Sequence[tuple[object, str]]] = (
    (date, "day such as `2025-07-01`"),
    (Port, "0 to 65535"),
    (Count, "whole number, at least 1"),
    (Seconds, "number above 0"),
    (Words, "list"),
    (LookUps, "list of numbers above 0"),
    (SecretsKey, "32 bytes in base64, secret"),
    (ConsoleSecret, "text of 32 characters at least, secret"),
    (Networks, "list of addresses and networks (`192.0.2.7`, `192.0.2.0/24`)"),
    (Domains, "list of domains (`agency.gov.sg`)"),
    (DatabaseURL, "address of a PostgreSQL, secret"),
    (HTTPURL, "address that begins with `https://` or `http://`"),
    (MailAddress, "mail address"),
    (bool, "`true` or `false`"),
    (Path, "path"),
    (SecretStr, "text, secret"),
    (str, "text"),
)

_SETTINGS_INTRO: Final = f"""\
{_WRITTEN}

# Settings

Every setting, with the environment variable that sets it. Settings come from, the first one that has it wins:

1. environment variables, `SFTP_GATEWAY_<SECTION>__<NAME>`;
2. systemd credentials of the same names (a file each in `$CREDENTIALS_DIRECTORY`), the place for secrets;
3. a TOML file, given by `--config` or by `{CONFIG_VARIABLE}`: a table for each section, a key for each name;
4. the default. An empty variable counts as not set.

Lists are TOML arrays in the file; in a variable their words are separated by commas or blanks. An unknown or wrong
setting stops the start, exit status 2, with its name and what is allowed. `systemctl reload` reads the settings again;
the addresses and ports listened on change with a restart only. `sftp-gateway check` tries what they lead to.

    environment = "production"

    [sftp]
    trusted_addresses = ["192.0.2.7"]

`$STATE_DIRECTORY` is set by systemd; without it, `$XDG_STATE_HOME/sftp-gateway` or `~/.local/state/sftp-gateway` takes its
place.
"""

_REASONS_INTRO: Final = f"""\
{_WRITTEN}

# Reasons

Why an upload was rejected, and what to do. Codes are stable; texts are for people and may be improved. The text stands in
the report's column `Error Reason`, in the row concerned, several joined by `; `. Where the file as a whole is at fault, no
row is checked, and the text stands in the e-mail as `errorReason` and, if rows could be read, on the report's header row.
Row 1 is the first row of the file, the header row as a rule: what a spreadsheet shows.

The examples are of a campaign in production with these texts:

"""

_SETTINGS_HEADER: Final = ("variable", "allowed", "default", "what it is")
_REASONS_HEADER: Final = ("code", "meaning", "what to do", "such as", "the text then")
# A group's title, and how its codes begin.
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "The file": ("file_", "no_", "upload_", "lines_", "delimiter_", "header_", "too_"),
    "A row": ("encoding_", "row_", "message_"),
    "The recipient": ("recipient_",),
    "The language": ("language_",),
    "A parameter's value": ("value_",),
}


def settings_page() -> str:
    """`docs/settings.md`: a table for each section."""
    parts = [_SETTINGS_INTRO]
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            parts.append(
                f"## {name}\n\n{(model.__doc__ or '').strip()}\n\n{_table(_SETTINGS_HEADER, _rows(model, f'{name}.'))}"
            )
        else:
            parts.append(_table(_SETTINGS_HEADER, [_row(name, field, model)]))
    footers = "\n".join(f"- {language}: {footer}" for language, footer in DEFAULT_FOOTERS.items())
    parts.append(
        "## Default footers\n\nOnly the English one is documented by Postman. The others are translations made for this "
        f"project: have them checked before messages go out in these languages.\n\n{footers}\n"
    )
    return "\n".join(parts)


def reasons_page() -> str:
    """`docs/reasons.md`: a table for each group of reasons, in the order in which a sender meets them."""
    parts = [
        _REASONS_INTRO
        + "\n".join(f"- {language}: `{body}`" for language, body in TEMPLATE.bodies.items())
        + "\n"
    ]
    for title, beginnings in _GROUPS.items():
        codes = [code for code in FindingCode if code.startswith(beginnings)]
        parts.append(f"## {title}\n\n{_table(_REASONS_HEADER, map(_reason_row, codes))}")
    return "\n".join(parts)


def metrics_page() -> str:
    """`docs/metrics.md`: a table for the node, and one for each room."""
    tables = [f"## {title}\n\n{_table(HEADER, rows)}" for title, rows in metric_sections()]
    return f"{_WRITTEN}\n\n{INTRO}" + "\n".join(tables)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "reasons.md": reasons_page,
    "metrics.md": metrics_page,
}


def _reason_row(code: FindingCode) -> tuple[str, ...]:
    reason, example = REASONS[code], example_of(code)
    return f"`{code}`", reason.meaning, reason.cure, example.shown, example.text


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            yield from _rows(hint, f"{prefix}{name}.")
        else:
            yield _row(f"{prefix}{name}", field, hint)


def _row(name: str, field: FieldInfo, hint: object) -> tuple[str, ...]:
    description = field.description or ""
    told = _TOLD_DEFAULT.search(description)
    default = f"`{told[1]}`" if told else _default_of(field)
    return f"`{variable_of(name)}`", _allowed(field, hint), default, _TOLD_DEFAULT.sub("", description)


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "none: must be set"
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case None | []:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case list():
            return " ".join(f"`{word}`" for word in value)
        case _:
            return f"`{value}`"


def _allowed(field: FieldInfo, hint: object) -> str:
    """What may be set, in words."""
    for part in field.metadata:
        if pattern := getattr(part, "pattern", None):
            return f"text of the form `{pattern}`"
    if hint is Environment:
        return ", ".join(f"`{member}`" for member in Environment)
    for annotation in (field.annotation, *get_args(field.annotation)):
        if get_origin(annotation) is Literal:
            return ", ".join(f"`{value}`" for value in get_args(annotation))
    # `X | None`: what X allows.
    for kind, words in _KINDS:
        if hint == kind or kind in get_args(hint):
            return words
    limits = {
        name: getattr(part, name) for part in field.metadata for name in ("ge", "le") if hasattr(part, name)
    }
    if "le" in limits:
        return f"{limits.get('ge', 'above 0')} to {limits['le']}"
    return f"whole number, at least {limits['ge']}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """A cell's text, with what Markdown or a browser would take for its own written otherwise."""
    parts = text.replace("|", "\\|").split("`")
    # Within code, at the odd places, Markdown itself shows everything as it stands.
    parts[::2] = [part.replace("&", "&amp;").replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def write_pages(folder: Path) -> None:
    """Write all pages into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
