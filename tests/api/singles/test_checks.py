"""The rules for a single send: the same as for a row of an upload, told by the codes of the contract."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.admission_groups import CallingCampaign
from api.errors import DomainRefused
from api.singles.checks import SingleChecks
from api.singles.forms import SingleForms
from api.singles.request import SingleRequest
from campaigns.campaigns import Creator
from config.environment import Environment
from rules.characters.unsupported import UnsupportedRule
from rules.messages import BODY_LIMIT
from rules.templates import Language, Template
from rules.values import ValueRule
from tests.processing.builders import FOOTERS, GUIDE_TEMPLATE
from tests.processing.cases.csv_case import RULES, cells
from tests.processing.reference.gateway_verdict import run_judge

CAMPAIGN = CallingCampaign(
    "campaign_1",
    GUIDE_TEMPLATE,
    False,
    False,
    datetime(2026, 11, 25, tzinfo=UTC),
    Creator("user_1", "tan@examples.gov.sg"),
)
CHECKS = SingleChecks(Environment.PRODUCTION, ValueRule(), "https://guide.example/sms")
FORMS = SingleForms(Environment.PRODUCTION, FOOTERS)
GUIDE = (
    "Parameter values cannot contain avoidable expensive characters. Please refer to the guide (https://guide.example/sms) to "
    "learn more."
)
GOOD = {"recipient_name": "Amy", "topic": "tax"}


def request_of(language: str = "english", **values: str) -> SingleRequest:
    return SingleRequest("6591234567", False, language, {**GOOD, **values})


def refusal(request: SingleRequest) -> tuple[str, str]:
    with pytest.raises(DomainRefused) as raised:
        CHECKS.check_text(request, FORMS.of(CAMPAIGN))
    assert raised.value.status == 400
    return raised.value.code, raised.value.message


@pytest.mark.parametrize(
    ("language", "name"),
    [
        pytest.param("english", "Amy", id="English"),
        pytest.param("ENGLISH", "Amy", id="in capitals"),
        pytest.param("chinese", "陈大文", id="Chinese"),
        pytest.param("chinese", "[x]", id="what is dear in English only"),
        pytest.param("english", 'a "b" / c', id="quotes"),
        pytest.param("chinese", "a\\b\tc", id="a backslash and a tab"),
        pytest.param("english", "one\ntwo", id="a line break"),
        pytest.param("english", "one\r\ntwo\rthree", id="other line breaks"),
        pytest.param("chinese", "😀" * 90, id="emoji"),
        pytest.param("english", "x" * 400, id="several segments"),
        pytest.param("english", "Ḁ", id="no GSM-7"),
    ],
)  # fmt: skip
def test_what_is_stored_of_a_message_is_what_an_uploads_row_would_have(language: str, name: str) -> None:
    text = CHECKS.check_text(request_of(language, recipient_name=name), FORMS.of(CAMPAIGN))
    [row] = run_judge(cells(language=language, name=name), RULES).messages
    _, _, of_row, values, segments, encoding = row
    assert (text.language.value, text.segments, text.encoding) == (of_row, segments, encoding)
    stored = json.loads(text.values)
    # Values are given back as they were sent; line ends become LF when the message is put together.
    assert stored == {"recipient_name": name, "topic": "tax"}
    lf = name.replace("\r\n", "\n").replace("\r", "\n")
    assert values == {"recipient_name": lf, "topic": "tax"}
    frame = json.loads(text.frame)
    body = GUIDE_TEMPLATE.bodies[text.language].replace("{{recipient_name}}", lf).replace("{{topic}}", "tax")
    assert text.full_text == frame["before"] + body + frame["after"][text.language.value]


def test_a_template_without_parameters_takes_no_values() -> None:
    template = Template("Clinic", {Language.ENGLISH: "We are closed."})
    campaign = replace(CAMPAIGN, id="campaign_2", template=template)
    text = CHECKS.check_text(SingleRequest("1", False, "english", {}), FORMS.of(campaign))
    assert text.values == "{}"
    assert "---\n\nWe are closed.\n\n---" in text.full_text
    with pytest.raises(DomainRefused) as raised:
        CHECKS.check_text(request_of(), FORMS.of(campaign))
    assert (
        raised.value.message == "recipient_name is not a parameter of this campaign's template: leave it out"
    )


def test_the_order_of_the_values_is_kept_where_it_is_not_the_templates() -> None:
    one = CHECKS.check_text(SingleRequest("1", False, "english", GOOD), FORMS.of(CAMPAIGN))
    other = CHECKS.check_text(
        SingleRequest("1", False, "english", dict(reversed(GOOD.items()))), FORMS.of(CAMPAIGN)
    )
    assert "order" not in json.loads(one.frame)
    assert json.loads(other.frame) == {**json.loads(one.frame), "order": ["topic", "recipient_name"]}
    assert other.values == '{"topic":"tax","recipient_name":"Amy"}'


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        pytest.param(request_of("malay"), "language_unavailable",
            "language malay is not in this campaign's template: write english or chinese", id="a language without a text"),
        pytest.param(request_of("klingon"), "language_unknown",
            "language klingon is not known: write english or chinese", id="no such language"),
        pytest.param(request_of("englsh"), "language_unknown",
            "language englsh is not known (did you mean english?): write english or chinese", id="a misspelt one"),
        pytest.param(request_of(""), "language_unknown", "language is empty: write english or chinese", id="an empty one"),
        pytest.param(request_of(topic=" tax"), "parameter_invalid",
            "topic has spaces or line breaks at its beginning or end: remove them", id="white space before"),
        pytest.param(request_of(topic="tax\n"), "parameter_invalid",
            "topic has spaces or line breaks at its beginning or end: remove them", id="a line break after"),
        pytest.param(request_of(topic=""), "parameter_invalid", "topic is empty: give it a value", id="an empty value"),
        pytest.param(request_of(topic="a\x07b"), "parameter_invalid",
            "topic has the invisible control character U+0007: remove it, or type the text again", id="a control character"),
        pytest.param(request_of(topic="a\0b"), "parameter_invalid",
            "topic has the invisible control character U+0000: remove it, or type the text again", id="NUL"),
        pytest.param(request_of("chinese", topic="a\ufffdb"), "parameter_invalid",
            "topic has the character U+FFFD, which stands where text was lost: send the original text", id="lost text"),
        pytest.param(request_of(recipient_name="[Amy]"), "parameter_invalid", GUIDE, id="an unsupported character"),
        pytest.param(request_of(recipient_name="“Amy”"), "parameter_invalid", GUIDE, id="typographic quotes"),
        pytest.param(request_of(title="Ms"), "parameter_invalid",
            "title is not a parameter of this campaign's template: leave it out", id="an unknown parameter"),
        pytest.param(request_of(**{"x" * 60: "Ms"}), "parameter_invalid",
            f"{'x' * 40}… is not a parameter of this campaign's template: leave it out", id="one with a long name"),
        pytest.param(SingleRequest("1", False, "english", {"topic": "tax"}), "parameter_invalid",
            "recipient_name is missing: give it a value", id="a missing parameter"),
        pytest.param(SingleRequest("1", False, "english", {}), "parameter_invalid",
            "recipient_name is missing: give it a value", id="no parameters at all"),
        pytest.param(request_of(topic="x" * 2000), "message_too_long",
            "the message has 2,033 characters without its header and footer, 1,033 over the limit of 1,000: shorten the values",
            id="too long"),
    ],
)  # fmt: skip
def test_each_rule_has_its_code_and_its_words(request_: SingleRequest, code: str, message: str) -> None:
    assert refusal(request_) == (code, message)


def test_of_two_faults_the_language_is_told_before_the_values_and_those_before_the_length() -> None:
    assert refusal(request_of("malay", topic=" x"))[0] == "language_unavailable"
    assert refusal(request_of(topic=" " + "x" * 2000))[0] == "parameter_invalid"
    assert refusal(request_of("chinese", topic="😀" * 500))[0] == "message_too_long"


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    fits = "x" * (BODY_LIMIT - len("Dear Amy, we have received your ."))
    CHECKS.check_text(request_of(topic=fits), FORMS.of(CAMPAIGN))
    code, message = refusal(request_of(topic=fits + "x"))
    assert code == "message_too_long"
    assert "1,001 characters" in message
    assert ", 1 over the limit" in message


@pytest.mark.parametrize(
    ("recipient", "message"),
    [
        ("+6591234567", "recipient +6591234567 begins with +: remove the +"),
        ("91234567", "recipient 91234567: country code missing: 6591234567?"),
        ("6511111111", "recipient 6511111111 is a simulator number, for the test environment only: give a real number"),
        ("", "recipient is empty: give the mobile number with its country code, such as 6591234567"),
        ("-1", "recipient -1 has spaces, hyphens, points, brackets or + in it: give the digits only"),
        ("1" * 99, f"recipient {'1' * 40}… has too many digits: check the number"),
    ],
)  # fmt: skip
def test_a_recipient_is_refused_in_the_reports_words(recipient: str, message: str) -> None:
    with pytest.raises(DomainRefused) as raised:
        CHECKS.check_recipient(recipient)
    assert (raised.value.code, raised.value.message) == ("recipient_invalid", message)


def test_a_deployment_that_allows_typography_allows_it_here() -> None:
    lenient = SingleChecks(
        Environment.TEST, ValueRule(UnsupportedRule(tier3=False, emoji=False)), "https://x.example"
    )
    CHECKS.check_recipient("6591234567")
    lenient.check_recipient("6511111111")
    lenient.check_text(request_of(topic="a — b"), FORMS.of(CAMPAIGN))
    assert refusal(request_of(topic="a — b")) == ("parameter_invalid", GUIDE)
