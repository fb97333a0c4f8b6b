"""The calculator, without JavaScript: a text, a template with sample values, and a whole file by a campaign's texts."""

import re

import pytest

from config.environment import Environment
from config.settings import Settings
from console.guides.calculator import calculate
from database.connections import Connection
from rules.billing.prices import FIRST_PRICE
from rules.characters.unsupported import UnsupportedRule
from rules.messages import Frame
from rules.segments import segment
from rules.templates import Language
from tests.api.batches.bodies import HEADERS, form
from tests.console.campaigns.making import make_campaign
from tests.console.served import Browser, Shown, browse, make_user, serving_console

RULE = UnsupportedRule()
HOSTILE = "<script>alert(1)</script>{{7*7}}"


def test_what_is_shown_of_a_message_is_what_is_counted() -> None:
    frame = Frame("Clinic", Environment.PRODUCTION)
    found = calculate(
        "Dear {{name}}, [see] “it”", {"name": "Tan"}, frame, Language.ENGLISH, RULE, FIRST_PRICE
    )
    text = frame.full_text("Dear Tan, [see] “it”", Language.ENGLISH)
    assert found.counted == segment(text)
    assert found.counted.encoding == "UCS-2"
    assert "".join(run.text for each in found.segments for run in each.runs) == text
    marked = [run.text for each in found.segments for run in each.runs if run.is_unsupported]
    assert marked == ["[", "]", "“", "”"]
    assert [each.code_point for each in found.unsupported] == ["U+005B", "U+005D", "U+201C", "U+201D"]
    assert {each.code_point for each in found.characters if each.forces_ucs2} == {"U+201C", "U+201D"}
    assert sum(each.count for each in found.characters) == len(text)
    assert found.without_value == ()
    assert found.body_characters == len("Dear Tan, [see] “it”")


def test_only_english_refuses_characters_and_a_bare_text_has_no_frame() -> None:
    found = calculate("“您好” {{name}}", {}, None, Language.CHINESE, RULE, FIRST_PRICE)
    assert (found.unsupported, found.without_value) == ([], ("name",))
    assert found.counted == segment("“您好” ")
    assert (found.local_cost, found.foreign_cost) == ("SGD 0.05", "SGD 0.23")


async def user_of(connection: Connection, settings: Settings, port: int) -> Browser:
    return await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))


async def test_a_template_is_counted_with_sample_values(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        browser = await user_of(connection, settings, port)
        shown = await browser.get("/calculator")
        shown = await browser.send(
            shown,
            "/calculator",
            text="Dear {{name}}, " + "x" * 160,
            header="Clinic",
            language="english",
            frame="yes",
        )
        assert shown.status == 200
        assert "Counted without values for name" in shown.text
        assert "Segment 2:" in shown.text
        # The form has a field for the parameter now, and what was typed stays.
        filled = await browser.send(shown, "/calculator", value_name="Tan “Bo”" + HOSTILE)
        assert "Counted without" not in filled.text
        assert "<script>alert" not in filled.body
        assert "<script>alert(1)</script>" in filled.text
        assert "would be refused: they make the message dearer" in filled.text
        for said in (
            "U+201C",
            'use " instead',
            "SGD",
            "Free here, in the test environment",
            "left double quotation mark",
        ):
            assert said in filled.text, said
        assert "<mark>“</mark>" in filled.body
        long = await browser.send(shown, "/calculator", value_name="y" * 1200)
        for said in ("more than 7 segments", "over the limit of 1,000"):
            assert said in long.text
        # Nothing of it stands in an address, or on the next visit.
        assert "Dear" not in (await browser.get("/calculator")).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": " "}, "Type the text"),
        ({"text": "Hello", "frame": "yes", "header": ""}, "Type the header"),
        (
            {"text": "".join(f"{{{{p{number}}}}}" for number in range(51)), "frame": "no"},
            "more than 50 parameters",
        ),
    ],
)
async def test_what_cannot_be_counted_is_said(
    settings: Settings, connection: Connection, fields: dict[str, str], said: str
) -> None:
    async with serving_console(settings) as port:
        browser = await user_of(connection, settings, port)
        shown = await browser.get("/calculator")
        pairs = [pair for pair in shown.form("/calculator").fields if pair[0] not in fields]
        refused = await browser.post("/calculator", [*pairs, *fields.items()])
        assert (refused.status, said in refused.text) == (400, True)


async def send_file(browser: Browser, path: str, content: bytes, name: str = "list.csv") -> Shown:
    return await browser.say("POST", path, body=form(content, name), headers=HEADERS)


async def test_a_whole_file_is_counted_and_forgotten(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection, name=HOSTILE)
    foreign_id = await make_campaign(connection, owner="bob@other.gov.sg", name="Theirs")
    async with serving_console(settings) as port:
        browser = await user_of(connection, settings, port)
        chosen = await browser.get("/calculator/file")
        assert HOSTILE in chosen.text
        assert "<script>alert" not in chosen.body
        assert "Theirs" not in chosen.text
        path = f"/calculator/file?campaign={campaign_id}"
        assert chosen.form("/calculator/file").method == "get"
        shown = await browser.get(path)
        assert "with the columns recipient, language, name, topic" in shown.text
        good = await send_file(
            browser,
            path,
            "recipient,language,name,topic\n6591234567,english,Tan,passport\n6591234567,chinese,陈,护照\n"
            "447911123456,english,Bo,visa\n447911123457,english,Zoë,visa\n".encode(),
        )
        assert "1 message needs 1 more segment because of ë (U+00EB)." in good.text
        assert re.search(
            r"4 messages, \d+ segments , free: test environment \(in production SGD [0-9.]+ before GST\)",
            good.text,
        ), good.text
        for said in ("English 3", "Chinese 1", "1 numbers stand in several rows (2 rows)"):
            assert said in good.text, said
        bad = await send_file(
            browser, path, b"recipient,language,name,topic\n+6591234567,english,<b>Tan,passport\n"
        )
        assert "2 faults in 1 rows" in bad.text
        assert "recipient +6591234567 begins with +: remove the +" in bad.text
        assert "<b>Tan" not in bad.body
        wrong = await send_file(browser, path, b"recipient;language;name;topic\n1;2;3;4\n")
        assert "the columns are separated by semicolons" in wrong.text
        for content, name, said in (
            (b"x", "list.xlsx", "Choose a file whose name ends in .csv"),
            (b"x" * (settings.sftp.max_upload_bytes + 100_000), "list.csv", "30 MB or larger"),
        ):
            refused = await send_file(browser, path, content, name)
            assert (refused.status, said in refused.text) == (400, True), refused.text
        assert (await browser.post(path, {"file": "x"})).status == 400
        assert (await browser.get(f"/calculator/file?campaign={foreign_id}")).status == 404
        assert (await send_file(browser, f"/calculator/file?campaign={foreign_id}", b"x")).status == 404
        assert await connection.fetchval("select count(*) from uploads") == 0
