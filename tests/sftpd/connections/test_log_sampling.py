"""Log lines that an attacker can cause are few, and the rest are counted."""

import structlog
from structlog.testing import capture_logs

from sftpd.connections.log_sampling import SampledLog


def test_a_few_lines_are_logged_and_the_next_window_counts_the_rest() -> None:
    with capture_logs() as logs:
        sampled_log = SampledLog(structlog.get_logger())
        logged = [
            sampled_log.log("login_refused", second / 10, most=3, reason="key") for second in range(100)
        ]
        sampled_log.log("login_refused", 60, most=3, reason="key")
    assert logged == [True] * 3 + [False] * 97
    assert [line.get("left_out_before") for line in logs] == [None, None, None, 97]


def test_kinds_are_counted_apart() -> None:
    with capture_logs() as logs:
        sampled_log = SampledLog(structlog.get_logger())
        for reason in ("key", "source", "key", "source"):
            sampled_log.log("login_refused", 0, kind=f"login_refused {reason}", most=1, reason=reason)
    assert [line["reason"] for line in logs] == ["key", "source"]
