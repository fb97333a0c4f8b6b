"""From template and values to the text that is sent."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.environment import Environment
from rules.columns.measures import body_length_column, measure
from rules.messages import DEFAULT_FOOTERS, Frame, Layout, body_length, render_body
from rules.segments import segment
from rules.templates import Language
from tests.rules.vectors import SEGMENTS

VECTORS = {vector["id"]: vector for vector in SEGMENTS}


def test_the_english_frame_adds_76_units_to_the_header() -> None:
    frame = Frame("Agency", Environment.PRODUCTION)
    assert segment(frame.full_text("", Language.ENGLISH)).units == len("Agency") + 76
    assert frame.full_text("B", Language.ENGLISH) == (
        "Agency\n\n---\n\nB\n\n---\n\nThis is an automated message sent by the Singapore Government."
    )


@pytest.mark.parametrize("name", ["full_emily", "full_tom", "full_test"])
def test_a_documented_message_of_the_test_environment_is_built_alike(name: str) -> None:
    text = VECTORS[name]["text"]
    body = text.split("\n\n---\n\n")[1]
    assert Frame("Open Government Products", Environment.TEST).full_text(body, Language.ENGLISH) == text


@pytest.mark.parametrize(
    ("language", "name"),
    [
        (Language.ENGLISH, "footer_en_current"),
        (Language.MALAY, "footer_ms_assumed"),
        (Language.CHINESE, "footer_zh_assumed"),
        (Language.TAMIL, "footer_ta_assumed"),
    ],
)
def test_each_language_has_its_footer(language: Language, name: str) -> None:
    assert DEFAULT_FOOTERS[language] == VECTORS[name]["text"]
    assert (
        Frame("A", Environment.TEST).full_text("b", language).endswith("\n\n---\n\n" + VECTORS[name]["text"])
    )


def test_footers_are_a_setting() -> None:
    frame = Frame("A", Environment.PRODUCTION, {Language.MALAY: "Tamat."})
    assert frame.full_text("b", Language.MALAY).endswith("---\n\nTamat.")


@pytest.mark.parametrize(
    ("body", "values", "text"),
    [
        ("Dear {{name}},\r\nbye", {"name": "x\ry\r\nz"}, "Dear x\ny\nz,\nbye"),
        ("{{a}}{{ b }}{{a}}", {"a": "1", "b": "2"}, "121"),
        ("no values", {}, "no values"),
        ("{{a}}", {"a": "{{a}}"}, "{{a}}"),
        ("{{a}}\n", {"a": "x\r"}, "x\n\n"),
    ],
    ids=["line_ends", "repeated", "none", "value_like_a_placeholder", "pieces_apart"],
)
def test_a_body_is_filled_in(body: str, values: dict[str, str], text: str) -> None:
    assert render_body(body, values) == text
    assert body_length(body, values) == len(text)


def test_a_body_is_measured_in_utf16_units() -> None:
    assert body_length("😀{{a}}", {"a": "中😀"}) == 5


@given(
    st.lists(
        st.tuples(st.text(st.sampled_from("a\r\n中😀["), max_size=9), st.text(max_size=5)),
        min_size=1,
        max_size=9,
    )
)
def test_a_column_is_as_long_as_each_body_alone(rows: list[tuple[str, str]]) -> None:
    body = "Hi {{a}},\r\n😀{{b}}{{a}}."
    values = {name: [row[place] for row in rows] for place, name in enumerate("ab")}
    measures = {name: measure(pl.Series(texts, dtype=pl.String)) for name, texts in values.items()}
    lengths = body_length_column(Layout.of_body(body), measures)
    assert isinstance(lengths, np.ndarray)
    assert lengths.tolist() == [body_length(body, {"a": row[0], "b": row[1]}) for row in rows]


def test_a_framed_layout_fills_to_the_full_message() -> None:
    frame = Frame("A\r\nB", Environment.TEST)
    layout = Layout.of_body("Hi {{a}}").framed(frame, Language.TAMIL)
    assert layout.fill({"a": "x"}) == frame.full_text("Hi x", Language.TAMIL)
    assert Layout.of_body("bare").framed(frame, Language.TAMIL).fill({}) == frame.full_text(
        "bare", Language.TAMIL
    )
