"""The vectors of the specification (recipients, segments, unsupported characters), through the gateway and the reference."""

import pytest

from config.environment import Environment
from processing.verdicts.terms import Rules
from rules.characters.unsupported import UnsupportedRule
from rules.codes import FindingCode as Code
from rules.templates import Language, Template
from rules.values import ValueRule
from tests.processing.builders import FOOTERS, GUIDE_TEMPLATE, HEADER, quoted_csv
from tests.processing.cases.csv_case import cells
from tests.processing.reference import cell_rules
from tests.processing.reference.gateway_verdict import assert_agree, run_judge
from tests.processing.reference.row_by_row import TRAINING_LINE, reference_verdict
from tests.rules.vectors import PHONES, SEGMENTS

ONE_VALUE = Template(
    header="Open Government Products",
    bodies={Language.ENGLISH: "{{text}}", Language.CHINESE: "{{text}}", Language.TAMIL: "{{text}}"},
)


@pytest.mark.parametrize("vector", PHONES, ids=lambda vector: f"{vector['recipient']!a} {vector['env']}")
def test_the_recipient_vectors(vector: dict[str, object]) -> None:
    recipient, environment = str(vector["recipient"]), Environment(str(vector["env"]))
    expected = None if vector["valid"] else Code(str(vector["reason_code"]))
    assert cell_rules.check_recipient(recipient, environment) == expected
    rules = Rules(template=GUIDE_TEMPLATE, environment=environment, footers=FOOTERS)
    judged = run_judge(cells(recipient), rules)
    assert judged.findings == ([(2, "recipient", expected)] if expected else [])


@pytest.mark.parametrize("environment", list(Environment))
def test_the_recipient_vectors_as_one_column(environment: Environment) -> None:
    vectors = [vector for vector in PHONES if vector["env"] == environment.value]
    rules = Rules(template=GUIDE_TEMPLATE, environment=environment, footers=FOOTERS)
    data = quoted_csv(
        [HEADER.split(",")] + [[vector["recipient"], "english", "Amy", "tax"] for vector in vectors]
    )
    assert_agree(data, run_judge(data, rules), reference_verdict(data, rules))


@pytest.mark.parametrize("vector", SEGMENTS, ids=lambda vector: vector["id"])
def test_the_reference_counts_segments_as_twilio_does(vector: dict[str, object]) -> None:
    counted = cell_rules.count_segments(str(vector["text"]))
    assert counted == (vector["encoding"], vector["units"], vector["segments"])


WHOLE_MESSAGES = [vector for vector in SEGMENTS if vector["text"].count("\n\n---\n\n") == 2]


@pytest.mark.parametrize("vector", WHOLE_MESSAGES, ids=lambda vector: vector["id"])
def test_whole_messages_are_counted_as_twilio_does(vector: dict[str, object]) -> None:
    text = str(vector["text"])
    environment = Environment.TEST if text.startswith(TRAINING_LINE) else Environment.PRODUCTION
    header, body, footer = text.removeprefix(f"{TRAINING_LINE}\n\n").split("\n\n---\n\n")
    rules = Rules(
        template=Template(header=header, bodies={Language.CHINESE: "{{text}}"}),
        environment=environment,
        footers={**FOOTERS, Language.CHINESE: footer},
    )
    data = quoted_csv([["recipient", "language", "text"], ["6591234567", "chinese", body]])
    judged = run_judge(data, rules)
    assert judged.messages == [
        (2, "6591234567", "chinese", {"text": body}, vector["segments"], vector["encoding"])
    ]


def test_the_segment_vectors_as_values_of_one_column() -> None:
    rules = Rules(
        template=ONE_VALUE, environment=Environment.PRODUCTION, footers={**FOOTERS, Language.CHINESE: "-"}
    )
    texts = [vector["text"] for vector in SEGMENTS]
    usable = [text for text in texts if text == text.strip() and text.isprintable() and len(text) < 500]
    assert len(usable) > 50
    rows = [["6591234567", "chinese", text] for text in usable]
    data = quoted_csv([["recipient", "language", "text"], *rows])
    judged = run_judge(data, rules)
    assert judged.verdict.valid
    assert_agree(data, judged, reference_verdict(data, rules))


@pytest.mark.parametrize("environment", list(Environment))
@pytest.mark.parametrize("language", ["english", "chinese", "tamil"])
def test_bodies_of_every_length_have_their_segments(environment: Environment, language: str) -> None:
    rules = Rules(template=ONE_VALUE, environment=environment, footers=FOOTERS, max_rows_test=1000)
    rows = [["6591234567", language, "x" * length] for length in range(1, 1001)]
    data = quoted_csv([["recipient", "language", "text"], *rows])
    judged = run_judge(data, rules)
    assert judged.verdict.valid
    assert_agree(data, judged, reference_verdict(data, rules))


def test_a_body_is_packed_with_its_frame() -> None:
    """§2: header + 76 units with the English footer; the test environment puts 52 more before it."""
    overhead = len(ONE_VALUE.header) + 76
    for environment, more in ((Environment.PRODUCTION, 0), (Environment.TEST, 52)):
        rules = Rules(template=ONE_VALUE, environment=environment, footers=FOOTERS)
        fits = 160 - overhead - more
        rows = [
            ["6591234567", "english", "x" * length] for length in (fits, fits + 1, fits + 146, fits + 147)
        ]
        judged = run_judge(quoted_csv([["recipient", "language", "text"], *rows]), rules)
        assert [segments for *_, segments, _ in judged.messages] == [1, 2, 2, 3]


def unsupported_findings(characters: list[str], language: str, switches: UnsupportedRule) -> set[str]:
    """Those of `characters` that are refused inside a value; the reference must refuse the same."""
    rules = Rules(
        template=ONE_VALUE, environment=Environment.PRODUCTION, footers=FOOTERS, values=ValueRule(switches)
    )
    rows = [["6591234567", language, f"a{character}b"] for character in characters]
    data = quoted_csv([["recipient", "language", "text"], *rows])
    judged = run_judge(data, rules)
    assert_agree(data, judged, reference_verdict(data, rules))
    assert {code for _, _, code in judged.findings} <= {Code.VALUE_UNSUPPORTED_CHARACTERS}
    return {characters[(row or 0) - 2] for row, _, _ in judged.findings}


LISTED = {
    "documented": sorted(cell_rules.DOCUMENTED),
    "typography": sorted(cell_rules.TYPOGRAPHY),
    "emoji": sorted(cell_rules.EMOJI),
}
# unsupported.json, `not_blocked`: a name can't be avoided, and these have no replacement.
NEVER = list("。，！？：；（）０１Ａçáā陈த©®°™±×µ¢éÇñßøΔ\u0301\u0303\n'\"-a")


@pytest.mark.parametrize(
    ("switches", "blocked"),
    [
        (UnsupportedRule(), {"documented", "typography", "emoji"}),
        (UnsupportedRule(tier3=False), {"documented", "emoji"}),
        (UnsupportedRule(emoji=False), {"documented", "typography"}),
        (UnsupportedRule(tier3=False, emoji=False), {"documented"}),
    ],
    ids=["all on", "without tier 3", "without emoji", "without both"],
)
def test_every_unsupported_character_in_english_and_none_else(
    switches: UnsupportedRule, blocked: set[str]
) -> None:
    everything = [character for characters in LISTED.values() for character in characters] + NEVER
    expected = {character for kind in blocked for character in LISTED[kind]}
    assert unsupported_findings(everything, "english", switches) == expected


@pytest.mark.parametrize("language", ["chinese", "tamil"])
def test_no_character_is_unsupported_in_another_language(language: str) -> None:
    everything = [character for characters in LISTED.values() for character in characters]
    assert unsupported_findings(everything, language, UnsupportedRule()) == set()
