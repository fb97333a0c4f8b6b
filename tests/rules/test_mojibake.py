"""Garbled values: UTF-8 that was read as Windows-1252 or Latin-1 and saved again, and what only looks like it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.columns.mojibake import read_again_column
from rules.mojibake import read_again


def garbled(text: str, times: int = 1) -> str:
    """`text` as a program saves it that takes its UTF-8 for Windows-1252 (for Latin-1 where that has no character)."""
    for _ in range(times):
        text = "".join(
            bytes([byte]).decode("latin-1" if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "cp1252")
            for byte in text.encode()
        )
    return text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("JosÃ© Tan", "José Tan"),
        ("MÃ¼ller", "Müller"),
        ("é™ˆå¤§æ–‡", "陈大文"),
        ("é\x99\x88å¤§", "陈大"),
        ("Iâ€™m", "I’m"),
        ("Nur â€“ Aisyah", "Nur – Aisyah"),
        ("10 Â°C", "10 °C"),
        ("Â\xa0", "\xa0"),
        ("5 â‚¬", "5 €"),
        ("Acmeâ„¢", "Acme™"),
        ("Siti Ã¢â‚¬Å“Ann", "Siti “Ann"),
        *(
            (garbled(text, times), text)
            for text in (
                "Nguyễn Văn Đức",
                "Łódź, Škoda, Þór",
                "Œuvre, cœur, Yıldız",
                "Qur\u02bcan",
                "e\u0301 u\u0308",
                "முத்து",
                "陈美玲，您好。",
                "さくら",
                "김",
                "😀 ❤️ 👩🏽‍⚕️ 🇸🇬 1️⃣",
            )
            for times in (1, 2)
        ),
    ],
    ids=ascii,
)
def test_a_garbled_text_is_read_as_it_was_meant(text: str, meant: str) -> None:
    assert read_again(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Emily",
            "CAFÉ™",
            "ZOÉ…",
            "欢迎光临“CAFÉ”餐厅",
            "Â",
            "São Paulo",
            "Nguyễn Văn Đức",
            "Hà Nội",
            "陈美玲",
            "முத்து",
        ),
        *(
            "JOSÉ’S",
            "CAFÉ–BAR",
            "CAFÉ—BAR",
            "CAFFÈ…",
            "AQUÍ…",
            "“É”",
            "Zoë",
            "François",
            "naïve “é”",
            "© 2026",
            "Ã",
            "â€",
            "£5",
        ),
        # A part that isn't garbled shows that the file as a whole isn't.
        *("JosÃ© 陈", "Ã© São"),
        # Greek and Cyrillic aren't written here.
        "«BEBÊ»",
        *(garbled("Ωμέγα"), garbled("Иван"), garbled("Ʌ"), garbled("ɖ")),
        "\udcff",
    ],
    ids=ascii,
)
def test_what_only_looks_garbled_passes(text: str) -> None:
    assert read_again(text) is None


WRITTEN = st.text(
    st.sampled_from("aZ 9éÉüñ çāşđłửỠ’“…–—€陈文大。，தமிழ்😀❤\ufe0f\u200d\u00a0"), min_size=1, max_size=12
)


@given(WRITTEN.filter(lambda text: not text.isascii()), st.sampled_from((1, 2)))
def test_whatever_people_write_is_read_again(text: str, times: int) -> None:
    meant = read_again(garbled(text, times))
    # What was garbled before is read as far as it goes.
    assert meant == (read_again(text) or text)


@given(
    st.lists(
        WRITTEN | WRITTEN.map(garbled) | st.text(max_size=6).map(lambda text: text.replace("\r", "")),
        max_size=9,
    )
)
def test_a_column_says_what_each_text_alone_says(texts: list[str]) -> None:
    rows, meant = read_again_column(pl.Series(texts, dtype=pl.String))
    alone = {row: reading for row, text in enumerate(texts) if (reading := read_again(text)) is not None}
    assert rows.dtype == np.int64
    assert dict(zip(rows.tolist(), meant, strict=True)) == alone
