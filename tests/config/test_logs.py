"""Logs: one form for all, and what an exception says stays out of them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from config.logs import LogSettings, configure_logs, get_logger


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs(LogSettings(format="json", level="debug"), stream)
    yield stream
    logging.getLogger().handlers.clear()
    logging.captureWarnings(False)
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_events_are_json_lines_with_their_ids(lines: io.StringIO) -> None:
    get_logger("processing").bind(upload_id="upload_1").info("upload_decided", outcome="accepted")
    (line,) = read(lines)
    assert line["event"] == "upload_decided"
    assert line["room"] == "processing"
    assert line["upload_id"] == "upload_1"
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_an_exception_is_told_by_kind_and_place_only(lines: io.StringIO) -> None:
    try:
        raise ValueError("COPY messages, line 1: 6591234567")
    except ValueError:
        get_logger("processing").exception("verdict_crashed")
    (line,) = read(lines)
    assert line["error"] == "builtins.ValueError"
    assert "test_logs.py" in str(line["error_at"])
    assert "6591234567" not in lines.getvalue()


def test_a_librarys_line_keeps_its_template_but_not_its_arguments(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("Could not send to %s", "citizen 6591234567")
    logging.getLogger("some.library").warning("Could not send to citizen 6591234567")
    try:
        raise OSError("6591234567")
    except OSError:
        logging.getLogger("some.library").exception("failed for %s", 6591234567)
    first, second, third = read(lines)
    assert first["library"] == "some.library"
    assert first["template"] == "Could not send to %s"
    assert second["template"] == "str"
    assert third["error"] == "builtins.OSError"
    assert "6591234567" not in lines.getvalue()
