"""What e-mails with a code say, what browsers are called in them, and how long codes are remembered. Without a server."""

from datetime import UTC, datetime

import pytest

from console.login.browsers import describe_browser
from console.login.codes import ALPHABET, delete_old_codes, normalise
from console.login.mail import CodeMail, compose_body
from database.connections import Connection

BROWSERS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    " Edg/140.0.3485.54": "Edge 140 on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36": (
        "Chrome 141 on macOS"
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148"
    " Safari/604.1": "Safari 18 on iOS",
    "Mozilla/5.0 (Linux; Android 15; SM-S938B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile"
    " Safari/537.36": "Samsung Internet 28 on Android",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox 128 on Linux",
    "curl/8.5.0": "unknown browser",
    "Your account is locked: open http://evil.example now": "unknown browser",
    "": "unknown browser",
    "x" * 5000 + "Firefox/128.0": "unknown browser",
}


@pytest.mark.parametrize(("said", "told"), BROWSERS.items())
def test_a_browser_is_named_in_our_words_alone(said: str, told: str) -> None:
    assert describe_browser(said) == told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://console.agency.gov.sg/", "Console: console.agency.gov.sg\n"),
        ("http://127.0.0.1:8081", "Console: 127.0.0.1:8081\n"),
        (None, "Browser: Firefox 128 on Linux\n\n"),
    ],
)
def test_the_e_mail_says_when_from_where_and_has_no_link(url: str | None, told: str) -> None:
    at = datetime(2026, 11, 28, 1, 30, 12, tzinfo=UTC)
    mail = CodeMail("a@b.gov.sg", "K7QP2M", at, "203.0.113.7", "Firefox 128 on Linux", 600)
    body = compose_body(mail, url)
    assert told in body
    assert "28 Nov 2026, 09:30:12 SGT" in body
    assert "From address: 203.0.113.7" in body
    assert "good for 10 minutes" in body
    assert "://" not in body
    assert "@" not in body
    assert body.isascii()
    assert "K7QP2M" not in repr(mail)


@pytest.mark.parametrize("typed", ["k7qp2m", " K7Q P2M\n", "K7Q\u00a0P2M", "\u2003k7qp2m\t"])
def test_case_and_blanks_of_a_code_are_ignored(typed: str) -> None:
    assert normalise(typed) == "K7QP2M"
    assert len(set(ALPHABET)) == 32


async def test_codes_are_kept_a_day(connection: Connection) -> None:
    await connection.execute(
        "insert into login_codes (browser, email_hash, code_hash, asked_at, expires_at)"
        " select sha256(hours::text::bytea), '', '', now() - make_interval(hours => hours), now()"
        " from unnest(array[1, 23, 25]) hours"
    )
    await delete_old_codes(connection)
    assert await connection.fetchval("select count(*) from login_codes") == 2
