"""What a file's check says of characters that make messages dearer, beside a count that reads message by message."""

import io
import random
from collections.abc import Mapping, Sequence

import polars as pl
import pytest

from config.environment import Environment
from processing.checked.counting import count_messages
from processing.checked.counts import LETTERS, OTHERS, SEVERAL
from processing.checked.dearer import DearerMessages
from processing.verdicts.judge import judge, message_form_of
from processing.verdicts.terms import Rules, Verdict
from rules.characters.gsm7 import is_gsm7
from rules.characters.unsupported import UnsupportedRule
from rules.messages import Layout
from rules.segments import segment
from rules.templates import Language, Template
from rules.values import ValueRule

BODIES = {
    Language.ENGLISH: "Dear {{name}}, your {{topic}} is ready, {{name}}. " + "Please bring it along. " * 4,
    Language.CHINESE: "{{name}}您好，您的{{topic}}已准备好。" * 4,
    Language.MALAY: "{{name}}: {{topic}} – siap. " + "Terima kasih. " * 6,
}
PIECES = ("Tan", "x" * 30, '"', "\n", "ā", "明", "Zoë", "–", "😀", "é", "ñ", " y")
# What English texts are refused for in any case.
ELSEWHERE = (*PIECES, "€", "^", "\\", "’")


def judged(rows: Sequence[Mapping[str, str]], rules: Rules) -> tuple[Verdict, bytes]:
    """The verdict over these rows, and the messages in COPY text."""
    columns = ("recipient", "language", "name", "topic")
    lines = [",".join(columns)]
    lines += [",".join('"' + row[name].replace('"', '""') + '"' for name in columns) for row in rows]
    messages = io.BytesIO()
    verdict = judge(io.BytesIO("\n".join(lines).encode()), rules, messages=messages, report=None)
    return verdict, messages.getvalue()


def expected(rows: Sequence[Mapping[str, str]], rules: Rules) -> dict[str, list[int]]:
    """The same, one message after the other."""
    found: dict[str, list[int]] = {}
    for row in rows:
        language = Language(row["language"])
        if language is Language.CHINESE:
            continue
        body = Layout.of_body(rules.template.bodies[language]).fill(row)
        text = rules.frame().full_text(body, language)
        segments = segment(text).segments
        outside = {character for character in text if not is_gsm7(character)}
        cheaper = segment("".join("x" if character in outside else character for character in text)).segments
        if cheaper < segments:
            reason = SEVERAL if len(outside) > 1 else outside.pop()
            counts = found.setdefault(LETTERS if reason == "明" else reason, [0, 0, 0])
            for place, more in enumerate((1, segments - cheaper, segments == 2)):
                counts[place] += more
    return found


@pytest.mark.parametrize("seed", range(3))
def test_dearer_messages_are_those_that_a_count_of_each_finds(seed: int) -> None:
    choice = random.Random(seed)
    off = UnsupportedRule(tier3=False, emoji=False)
    rules = Rules(Template("Clinic", BODIES), Environment.PRODUCTION, values=ValueRule(unsupported=off))
    rows = []
    for _ in range(300):
        language = choice.choice(list(BODIES))
        pieces = PIECES if language is Language.ENGLISH else ELSEWHERE
        values = {
            name: f"a{''.join(choice.choices(pieces, k=choice.randrange(4)))}z" for name in ("name", "topic")
        }
        rows.append({"recipient": "6591234567", "language": language.value, **values})
    verdict, messages = judged(rows, rules)
    assert verdict.valid, verdict
    counts = count_messages(io.BytesIO(messages), message_form_of(rules))
    assert counts.dearer == expected(rows, rules)
    assert {LETTERS, SEVERAL, "–", "ā"} <= set(counts.dearer)


def test_a_body_without_parameters_is_dearer_by_itself_and_of_many_characters_some_are_told() -> None:
    text = "x" * 80 + "’"
    bare = DearerMessages((), {Language.MALAY: Layout((text,), ())})
    bare.add(frame_of([("malay", "{}", 2)] * 3))
    assert bare.of() == {"’": [3, 3, 3]}
    # What fits into one segment either way is no dearer.
    short = DearerMessages((), {Language.MALAY: Layout(("Hai’",), ())})
    short.add(frame_of([("malay", "{}", 1)]))
    assert short.of() == {}
    layout = Layout(("x" * 80, ""), ("name",))
    many = DearerMessages(("name",), {Language.ENGLISH: layout})
    letters = [chr(0x2190 + number) for number in range(14)]
    many.add(frame_of([("english", f'{{"name": "{letter}"}}', 2) for letter in letters for _ in range(2)]))
    assert list(many.of()) == [*letters[:10], OTHERS]
    assert many.of()[OTHERS] == [8, 8, 8]


def frame_of(rows: Sequence[tuple[str, str, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["language", "values", "segments"], orient="row").with_columns(
        encoding=pl.lit("UCS-2")
    )
