"""What holds for every call: one clear line for each trouble, the right exit status, and no traceback unless asked for."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from api.openapi.document import openapi_document
from gateway.cli.main import build_app
from gateway.errors import exit_status_of

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call

EXECUTABLE = Path(sys.executable).with_name("sftp-gateway")


def start(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [EXECUTABLE, *words],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


CALLS = [
    ("run",), ("sftpd",), ("worker",), ("sender",), ("api",), ("console",),
    ("demo",), ("devstack",), ("migrate",), ("check",), ("validate",), ("segments",), ("openapi",), ("reconcile",),
    *[("campaign", verb) for verb in ("create", "list", "show", "suspend", "resume", "notify", "allow", "delete", "twilio")],
    *[("campaign", verb) for verb in ("addresses", "rate", "nric")],
    *[("agency", verb) for verb in ("add", "list", "show", "set", "pic", "creator")],
    *[("billing", verb) for verb in ("check", "show", "report", "close", "correct", "price")],
    *[("user", verb) for verb in ("show", "ops", "end-sessions")], *[("member", verb) for verb in ("add", "list", "remove")],
    *[("apikey", verb) for verb in ("add", "list", "delete")], ("nric", "add"),
    *[("key", verb) for verb in ("check", "add", "list", "revoke")],
    *[("hostkey", verb) for verb in ("generate", "show", "rotate", "retire")],
    *[("upload", verb) for verb in ("list", "show", "retry", "release", "refuse", "report")],
    *[("batch", verb) for verb in ("list", "show", "retry", "release", "stop", "report")],
    *[("message", verb) for verb in ("list", "show", "retry")],
    ("secrets", "rotate"),
    *[("sending", verb) for verb in ("status", "pause", "resume")],
    *[("job", verb) for verb in ("list", "retry")],
    *[("archive", verb) for verb in ("list", "run", "restore")],
]  # fmt: skip


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_every_call_of_the_contract_has_help_with_an_example(call: "Call", words: tuple[str, ...]) -> None:
    answer = call(*words, "--help")
    assert answer.status == 0
    assert "Usage: sftp-gateway " + " ".join(words) in answer.out
    assert "Example" in answer.out


def test_no_command_is_there_that_has_no_place_in_the_contract() -> None:
    group: Any = typer.main.get_command(build_app())
    found: set[tuple[str, ...]] = set()
    for name, command in group.commands.items():
        subcommands = getattr(command, "commands", None)
        found |= {(name, verb) for verb in subcommands} if subcommands else {(name,)}
    assert found == set(CALLS)


def test_without_a_word_the_help_is_shown(call: "Call") -> None:
    answer = call()
    assert answer.status == 0
    assert "campaign" in answer.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["campain", "list"], "Did you mean 'campaign'"),
        (["campaign", "creat"], "Did you mean 'create'"),
        (["upload", "list", "--campain", "x"], "--campaign"),
        (["campaign"], "Missing command (see `sftp-gateway campaign --help`)"),
        (["campaign", "show"], "CAMPAIGN"),
        (["campaign", "show", "a", "b"], "unexpected extra argument"),
        (["upload", "list", "--limit", "0"], "--limit"),
        (["upload", "list", "--limit", "many"], "--limit"),
        (
            ["key", "check", "/nowhere/agency.pub"],
            "'/nowhere/agency.pub' can't be read: No such file or directory",
        ),
        (["key", "check", "/"], "can't be read: Is a directory"),
        (["segments", "\udcff"], "an argument is not UTF-8 text"),
        (["validate", "x.csv"], "give either --campaign ID or --template LANG=TEXT"),
        (["validate", "x.csv", "--campaign", "c", "--template", "english=a"], "give either --campaign"),
        (
            ["validate", "x.csv", "--template", "english=a", "--environment", "staging"],
            "test, production or loadtest",
        ),
        (["validate", "/nowhere.csv", "--template", "english=a"], "can't be read"),
        (["validate", "x.csv", "--template", "a"], "LANG=TEXT"),
        (["validate", "x.csv", "--template", "englsh=a"], "did you mean english?"),
        (["validate", "x.csv", "--template", "english=a", "--template", "ENGLISH=b"], "two english bodies"),
        (["validate", "x.csv", "--template", "english=@/nowhere.txt"], "'/nowhere.txt' can't be read"),
        (["validate", "x.csv", "--template", "english=Dear {{Name}}"], "lower-case"),
        (["campaign", "list"], "SFTP_GATEWAY_DATABASE__URL"),
        (["campaign", "list", "--config", "/nowhere.toml"], "/nowhere.toml can't be read"),
        (["--config", "/nowhere.toml", "campaign", "list"], "/nowhere.toml can't be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_ends_with_2_and_one_line(call: "Call", words: list[str], says: str) -> None:
    answer = call(*words)
    assert answer.status == 2
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_a_wrong_setting_is_named(call: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__POOLSIZE", "3")
    answer = call("campaign", "list")
    assert answer.status == 2
    assert "did you mean SFTP_GATEWAY_DATABASE__POOL_SIZE?" in answer.err


def test_a_database_that_is_away_ends_with_3(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", "postgresql://me:secret@127.0.0.1:1/gateway")
    for words in (("campaign", "list"), ("upload", "list"), ("key", "list", "x"), ("hostkey", "generate")):
        answer = admin(*words)
        assert answer.status == 3
        (line,) = answer.err.splitlines()
        assert "the database can't be reached" in line
        assert "secret" not in line


def test_a_bucket_that_is_away_ends_with_3(
    admin: "Call", upload_with_report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_S3__ENDPOINT_URL", "http://127.0.0.1:1")
    answer = admin("upload", "report", upload_with_report)
    assert answer.status == 3
    assert "the object store can't be reached" in answer.err


def test_a_database_without_a_schema_says_what_to_do(
    admin: "Call", empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", empty_database_url)
    answer = admin("campaign", "list")
    assert answer.status == 2
    assert "run `sftp-gateway migrate`" in answer.err


def test_a_traceback_is_shown_with_debug_only(call: "Call") -> None:
    assert "Traceback" not in call("key", "check", "/nowhere").err
    for words in (["--debug", "key", "check", "/nowhere"], ["key", "check", "/nowhere", "--debug"]):
        answer = call(*words)
        assert answer.status == 2
        assert "Traceback" in answer.err


def test_a_fault_of_ours_shows_no_text_of_it() -> None:
    assert exit_status_of(RuntimeError("6591234567")) is None


def test_what_stands_after_two_dashes_is_left_alone(call: "Call") -> None:
    answer = call("segments", "--", "--debug")
    assert answer.document["characters"] == len("--debug")


def test_the_real_executable_ends_as_it_should() -> None:
    answer = start("--help")
    assert answer.returncode == 0
    assert start("campain").returncode == 2
    away = start(
        "campaign", "list",
        SFTP_GATEWAY_ENVIRONMENT="test", SFTP_GATEWAY_DATABASE__URL="postgresql://127.0.0.1:1/x",
        SFTP_GATEWAY_S3__BUCKET="b", SFTP_GATEWAY_SMTP__HOST="localhost", SFTP_GATEWAY_SMTP__SENDER="a@b.sg",
    )  # fmt: skip
    assert (away.returncode, away.stdout) == (3, "")
    assert len(away.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        pytest.param(
            "gateway.cli",
            "asyncssh asyncpg boto3 botocore polars numpy pgqueuer pydantic uvicorn aiosmtplib rich.console",
            id="the-command-line",
        ),
        pytest.param("database.schema", "asyncssh boto3 pgqueuer pygments rich", id="a-connection"),
        pytest.param(
            "rules.messages, rules.values, rules.languages, rules.recipients, rules.single.checks, rules.single.reasons, "
            "rules.template_checks",
            "numpy polars",
            id="the-rules-of-single-values",
        ),
        pytest.param(
            "gateway.processes.worker, gateway.processes.sender, gateway.processes.api, gateway.processes.console",
            "numpy polars xlsxwriter",
            id="processes",
        ),
    ],
)
def test_importing_it_imports_nothing_slow(modules: str, slow: str) -> None:
    code = f"import sys, {modules}; print([name for name in {slow.split()} if name in sys.modules]); import rich.console"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert answer.stdout.strip() == "[]"
    assert answer.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    answer = start(
        "--show-completion", SHELL=f"/bin/{shell}", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert answer.returncode in (0, 2)
    told = start(
        _SFTP_GATEWAY_COMPLETE=f"complete_{shell}",
        COMP_WORDS="sftp-gateway camp",
        COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="sftp-gateway camp",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert "campaign" in told.stdout


def test_the_version_is_told(call: "Call") -> None:
    answer = call("--version")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("sftp-gateway ")


def test_the_api_s_document_is_printed_for_people(call: "Call") -> None:
    answer = call("openapi")
    assert (answer.status, answer.document) == (0, openapi_document())
    assert len(answer.out.splitlines()) > 500
