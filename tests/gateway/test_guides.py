"""What the hand-written pages claim: links lead somewhere, commands and settings exist, quoted lines are the code's own."""

import functools
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from config.fault_points import POINTS
from config.settings import setting_names, variable_of
from gateway.cli.main import build_app
from gateway.embedded.mail_server import Mailbox
from sftpd import front
from sftpd.connections import listener, ssh_server
from sftpd.connections.ssh_connection import DISCONNECT_TEXTS
from sftpd.refusals import Refusal
from sftpd.session.channel import COMMANDS_REFUSED
from tests.gateway.nodes import ROOT, Node

GUIDES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
WRITTEN_BY_HAND = [path for path in GUIDES if path.name not in ("settings.md", "reasons.md", "metrics.md")]
ids = pytest.mark.parametrize("path", WRITTEN_BY_HAND, ids=lambda path: path.stem)


def code_of(path: Path) -> Iterator[str]:
    """Every piece of code in a page: indented and fenced lines, and what stands between backticks."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    yield from re.findall(r"^(?:    |\$ )(.+)$", text, re.MULTILINE)
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", text)


def links_of(path: Path) -> list[str]:
    """The files that a page leads to."""
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    return [target for target in targets if "://" not in target]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_links_lead_to_files_that_exist(path: Path) -> None:
    assert [target for target in links_of(path) if not (path.parent / target).exists()] == []


def calls_of(path: Path) -> Iterator[list[str]]:
    """Each call of `sftp-gateway` in a page, as words; in tables the name of the program is left out."""
    for code in code_of(path):
        found = re.findall(r"(?:^|[ /(])sftp-gateway ((?!queue <)[a-z].*)", code)
        found += re.findall(r"^(?:campaign|key|hostkey|upload) [a-z].*", code)
        yield from (re.split(r"[|;&)]| [#<>\\]", call)[0].split() for call in found)


@ids
def test_commands_and_their_options_exist(path: Path) -> None:
    root: Any = typer.main.get_command(build_app())
    for words in calls_of(path):
        command = root
        path_of_names: list[str] = []
        while words and (subcommands := getattr(command, "commands", None)):
            name = words.pop(0)
            assert name in subcommands, f"sftp-gateway {' '.join([*path_of_names, name])}"
            command = subcommands[name]
            path_of_names.append(name)
        options = {option for parameter in [*root.params, *command.params] for option in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in options | {"--help"}, f"{path_of_names} {word}"


def variables_in(code: str) -> list[str]:
    return re.findall(r"SFTP_GATEWAY_[A-Z0-9_]+\b", code)


@ids
def test_settings_exist(path: Path) -> None:
    names = set(setting_names())
    sections = {name.partition(".")[0] for name in names if "." in name}
    variables = {variable_of(name) for name in names} | {"SFTP_GATEWAY_CONFIG"}
    for code in code_of(path):
        for variable in variables_in(code):
            assert variable in variables or f"{variable}…" in code, variable
        if re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", code) and code.partition(".")[0] in sections:
            # Some fault points are named as a section's settings are.
            assert (
                code in names or code in POINTS or (ROOT / code.replace(".", "/")).with_suffix(".py").exists()
            ), code


def shown_refusals() -> Iterator[str]:
    """Every line that the front may show to a client's user."""
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        yield from (kind.text for kind in kinds if kind.shown and "text" in kind.__dict__)
    yield from listener._TEXTS.values()
    yield from (
        COMMANDS_REFUSED,
        front.RESTARTING,
        front.IDLE,
        ssh_server.UNAVAILABLE,
        ssh_server.TOO_MANY_SESSIONS,
    )
    yield from (text for text in DISCONNECT_TEXTS.values() if "agency guide" in text)


@pytest.mark.parametrize("line", list(shown_refusals()))
def test_the_agency_guide_says_what_to_do_about_each_line_shown(line: str) -> None:
    guide = (ROOT / "docs" / "agency-guide.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|", guide, re.MULTILINE)
    # Figures, and advice that has some, stand behind the text of the class.
    assert line in rows or any("…" in row and line.startswith(row.partition(" …")[0]) for row in rows)


def test_the_agency_guide_s_script_sends_and_sends_again(
    start_node: Callable[..., Node], good_file: Path, tmp_path: Path, mailbox: Mailbox
) -> None:
    guide = (ROOT / "docs" / "agency-guide.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"<!-- tried .*-->\n```sh\n(.*?)```", guide, re.DOTALL)
    node = start_node()
    options = "-P {} -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    lost = script.replace("CAMPAIGN@SERVER", f"{options.format('$PORT')} {node.campaign}@127.0.0.1")
    # The first try meets a closed port, as during an outage; the pause after it changes that.
    lost = lost.replace(
        'sleep "$pause"', f"PORT=$([ $pause = 0 ] && echo 1 || echo {node.ports['sftp_port']})"
    )
    (tmp_path / "send.sh").write_text(lost.replace("-i agency_key", f"-i {node.key}"))
    done = subprocess.run(
        ["sh", "send.sh", good_file], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Connection refused" in done.stderr
    (mail,) = mailbox.wait_for(1)
    assert mail.get_content().startswith('{"isValid":true')


def test_the_runbook_has_every_alert_and_no_other() -> None:
    alerts = re.findall(r"alert: (\w+)", (ROOT / "docs" / "ops" / "alerts.yml").read_text(encoding="utf-8"))
    runbook = (ROOT / "docs" / "ops-runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (SFTPGateway\w+) \|", runbook, re.MULTILINE) == alerts


# Names that are an agency's own, or PostgreSQL's settings.
OTHERS = {"agency_key", "recipient_name", "known_hosts", "synchronous_commit", "log_statement"}
OTHERS |= {"log_min_duration_statement", "log_parameter_max_length"}
# What else stands in settings of PostgreSQL and PgBouncer.
OTHERS |= {"query_timeout", "server_login_retry", "default_pool_size", "pg_hba"}
# What Erlang's SFTP client calls things.
OTHERS |= {"write_file", "permission_denied"}
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
SOURCES = [
    path
    for room in (*ROOMS, "systemd")
    for path in (ROOT / room).rglob("*.*")
    if path.suffix in (".py", ".sql", ".service")
]


@functools.cache
def words_of_the_code() -> frozenset[str]:
    return frozenset(
        word
        for source in SOURCES
        if source.parent != ROOT / "tools"
        for word in re.findall(r"\w+", source.read_text(encoding="utf-8"))
    )


def names_in(path: Path) -> list[str]:
    return re.findall(r"`([a-z]+(?:_[a-z]+)+)`", path.read_text(encoding="utf-8"))


@ids
def test_names_of_events_tables_and_codes_stand_in_the_code(path: Path) -> None:
    assert {name for name in names_in(path) if name not in OTHERS} <= words_of_the_code()


def test_there_is_much_of_what_is_looked_for_in_the_pages() -> None:
    """Where a pattern found nothing, the tests above would say nothing."""
    assert len([call for path in WRITTEN_BY_HAND for call in calls_of(path)]) > 150
    assert len([name for path in WRITTEN_BY_HAND for name in names_in(path)]) > 150
    assert len([target for path in GUIDES for target in links_of(path)]) > 40
    code = [code for path in WRITTEN_BY_HAND for code in code_of(path)]
    assert len([variable for piece in code for variable in variables_in(piece)]) > 8
