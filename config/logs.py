"""Logs: one format for our events and for all libraries' records. JSON lines, or coloured text on a terminal.

Events are named `noun_verb` and carry ids: upload, campaign, connection. What an exception says is never logged, only
what it is and where: asyncpg's texts hold rows, asyncssh's hold what a client sent.
"""

import logging
import os
import sys
import traceback
from types import ModuleType
from typing import Any, Literal, TextIO

from pydantic import Field

from config.section import Section

# structlog imports rich wherever it is installed, to draw tracebacks, of which our logs have none. That would take a tenth of the
# start of every process.
_rich: ModuleType | None = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402
from structlog.typing import EventDict, Processor, WrappedLogger  # noqa: E402

if _rich is None:
    del sys.modules["rich"]

# Libraries that report on every request or packet: only their warnings are news.
_TALKATIVE = (
    "asyncio",
    "asyncssh",
    "boto3",
    "botocore",
    "s3transfer",
    "urllib3",
    "pgqueuer",
    "uvicorn",
    "aiosmtplib",
)


class LogSettings(Section):
    """What is logged and how. Never contents, names of files, phone numbers or keys."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level logged."
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="JSON lines, or coloured text; auto: coloured on a terminal."
    )


def describe_exception(error: BaseException) -> dict[str, Any]:
    """What an exception is and where it came from, without its text, which may hold a row, a name or a secret."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119
    kind = type(error)
    described: dict[str, Any] = {"error": f"{kind.__module__}.{kind.__qualname__}", "error_at": places}
    if error.__cause__ is not None:
        described["caused_by"] = f"{type(error.__cause__).__module__}.{type(error.__cause__).__qualname__}"
    return described


def _describe_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event.update(describe_exception(error))
    event.pop("stack_info", None)
    return event


def _name_library_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A library's own line: its logger, and its text only where that is a template apart from its arguments.

    The template is the library's source code; the arguments, which may be anybody's data, are left out.
    """
    record: logging.LogRecord = event["_record"]
    arguments = event.pop("positional_args", ())
    template = (
        event["event"] if arguments and isinstance(event["event"], str) else type(event["event"]).__name__
    )
    event.update(event="library_reported", library=record.name, template=template)
    return event


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, once per process. Logs go to stderr unless told."""
    stream = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_error,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library_event, *shared],
            use_get_message=False,
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def get_logger(room: str) -> structlog.stdlib.BoundLogger:
    """The logger of one room; every line names it."""
    # No `bind` here: it would fix the format at import, before `configure_logs` has chosen one.
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(room, room=room)
    return logger
