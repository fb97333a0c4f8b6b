"""A template is checked once, at its creation, and everything wrong is told."""

from collections.abc import Mapping

import pytest

from rules.characters.unsupported import UnsupportedRule
from rules.template_checks import (
    MOST_PARAMETERS,
    TemplateCheck,
    check_template,
    find_unsupported,
    replace_unsupported,
)

GOOD = {"english": "Dear {{name}}, {{topic}}.", "chinese": "{{name}}：{{topic}}。"}


def refusals(
    header: str = "Agency", bodies: Mapping[str, str] = GOOD, rule: UnsupportedRule | None = None
) -> list[str]:
    return check_template(header, bodies, rule or UnsupportedRule()).refusals


def test_a_good_template_has_neither_refusals_nor_warnings() -> None:
    checked = check_template("Agency", GOOD, UnsupportedRule())
    assert checked.refusals == []
    assert checked.warnings == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "english: the body is empty"),
        (" \n", "english: the body is empty"),
        ("{{Name}}", "english: the parameter Name: a name has lower-case letters"),
        ("{{1st}}", "english: the parameter 1st"),
        ("{{naïve}}", "english: the parameter na\\xefve"),
        ("{{two words}}", "english: the parameter two words"),
        ("{{}}", "english: a placeholder has no name"),
        ("{{recipient}}", "english: the parameter recipient has the name of a column"),
        ("{{language}}", "english: the parameter language has the name of a column"),
        ("Dear {{name}", 'english: broken placeholder at "{{name}"'),
        ("Dear {name}}", 'english: broken placeholder at "{name}}"'),
        ("Dear {name}", 'english: broken placeholder at "{name}"'),
        ("Dear {{{name}}}", "english: broken placeholder"),
        ("Dear {{na{{me}}", "english: broken placeholder"),
        ("a [b]", "english: the body has the unsupported character [ (U+005B), use ( instead"),
        ("a ^", "english: the body has the unsupported character ^ (U+005E), remove it"),
        ("a\tb", "english: the body has the unsupported character tab (U+0009), use a space instead"),
        (
            "a\u2028b",
            "english: the body has the unsupported character line separator (U+2028), use a line break instead",
        ),
        ("a\x00b", "english: the body has the control character U+0000"),
        ("a\x07b", "english: the body has the control character U+0007"),
        (
            "".join(f"{{{{p{place}}}}}" for place in range(199)),
            "english: the body has 199 parameters, at most 198 are allowed",
        ),
        ("x" * 1001, "english: the body has 1001 characters without its parameters, at most 1000"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_a_body_is_refused_with_its_reason(body: str, told: str) -> None:
    assert any(text.startswith(told) for text in refusals(bodies={"english": body}))


@pytest.mark.parametrize(
    ("body", "excerpt", "right"),
    [
        ("｛｛name｝｝", "｛｛name｝｝", "{{name}}"),
        ("｛name｝", "｛name｝", "{{name}}"),
        ("{｛name}｝", "{｛name}｝", "{{name}}"),
        ("{name}", "{name}", "{{name}}"),
        ("{ name }", "{ name }", "{{name}}"),
        ("{{ name }}", "{{ name }}", "{{name}}"),
        ("{{name }}", "{{name }}", "{{name}}"),
        ("a {{{topic}}}", "{{{topic}}}", "{{topic}}"),
        ("{{name}", "{{name}", "{{name}}"),
        ("{name}}", "{name}}", "{{name}}"),
        ("{{{name}}}", "{{{name}}}", "{{name}}"),
        ("{{{{name}}}}", "{{{{name}}}}", "{{name}}"),
        ("{First Name}", "{First Name}", "{{first_name}}"),
        ("｛｛名字｝｝", "｛｛名字｝｝", "{{name}}"),
        ("{{}", "{{}", "{{name}}"),
        ("a }} b", "}} b", "{{name}}"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("language", ["english", "chinese", "malay", "tamil"])
def test_braces_that_are_no_placeholder_are_refused_with_the_right_spelling(
    language: str, body: str, excerpt: str, right: str
) -> None:
    told = refusals(bodies={language: body})
    assert any(
        f'broken placeholder at "{excerpt}' in text and f'": write {right}, with' in text for text in told
    ), told


@pytest.mark.parametrize("body", ["[]", "{ }", "a\tb", "“x”", "{你}"], ids=ascii)
def test_other_languages_may_have_unsupported_characters(body: str) -> None:
    assert refusals(bodies={"chinese": body}) == []


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "the header is empty"),
        ("\u00a0", "the header is empty"),
        ("A|B", "the header has the unsupported character | (U+007C), use I (uppercase i) instead"),
        ("A\x1bB", "the header has the control character U+001B, remove it"),
    ],
    ids=ascii,
)
def test_a_header_is_refused_with_its_reason(header: str, told: str) -> None:
    assert any(text.startswith(told) for text in refusals(header=header))


def test_languages_are_known_and_given_once() -> None:
    assert refusals(bodies={"englsh": "x"}) == ["unknown language englsh: did you mean english?"]
    assert refusals(bodies={"klingon": "x"}) == [
        "unknown language klingon: use english, chinese, malay, tamil"
    ]
    assert refusals(bodies={"english": "x", "English": "y"}) == [
        "english: given twice, give one body per language"
    ]
    assert refusals(bodies={}) == ["the template has no body: give at least one language and its text"]
    assert refusals(bodies={"TAMIL": "x"}) == []


def test_all_languages_have_the_same_parameters() -> None:
    told = refusals(bodies={"english": "{{name}} {{topic}}", "tamil": "{{nama}} {{topic}} {{extra}}"})
    assert told == [
        "tamil: the parameter name of the english body is missing, has it the name nama there?",
        "tamil: the parameter extra is not in the english body",
        "tamil: the parameter nama is not in the english body",
    ]


@pytest.mark.parametrize(("length", "warned"), [(320, False), (321, True), (1000, True)])
def test_a_long_body_is_a_warning(length: int, warned: bool) -> None:
    checked = check_template("A", {"english": "x" * length + "{{name}}"}, UnsupportedRule())
    assert checked.refusals == []
    assert bool(checked.warnings) == warned


def test_the_switches_hold_for_templates() -> None:
    assert refusals(bodies={"english": "a – b"}, rule=UnsupportedRule(tier3=False)) == []


def test_characters_are_replaced_around_parameters_and_never_in_them() -> None:
    rule = UnsupportedRule()
    body = "“{{name}}” [{{ topic }}] {half} – ｛｛wide｝｝"
    assert [each.character for each in find_unsupported(body, rule)] == ["“", "”", "[", "]", "–"]
    assert replace_unsupported(body, rule) == '"{{name}}" ({{ topic }}) {half} - ｛｛wide｝｝'
    assert find_unsupported(replace_unsupported(body, rule), rule) == []


@pytest.mark.parametrize(
    ("header", "body"), [("A\ud800", "Dear {{name}}"), ("Agency", "Dear {{name}}\udfff")]
)
def test_half_a_character_is_refused_and_nothing_else_is_told(header: str, body: str) -> None:
    checked = check_template(header, {"english": body, "klingon": ""}, UnsupportedRule())
    assert checked == TemplateCheck(["the template is not UTF-8 text"], [])


def test_a_body_has_no_more_parameters_than_a_file_has_columns_for() -> None:
    body = " ".join(f"{{{{p{number}}}}}" for number in range(MOST_PARAMETERS))
    assert refusals(bodies={"english": body}) == []
    told = "english: the body has 199 parameters, at most 198 are allowed"
    assert refusals(bodies={"english": body + "{{one_more}}"}) == [told]
