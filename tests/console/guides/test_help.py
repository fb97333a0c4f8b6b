"""Help pages: the guides word by word, and what the code's tables say."""

import re
from pathlib import Path

from config.settings import Settings
from console.guides.help_pages import GROUPS, GUIDES, blocks_of, sections
from console.guides.markdown import plain, read_blocks, read_pieces
from database.connections import Connection
from messages.meanings import ERROR_MEANINGS, STATUS_MEANINGS
from messages.statuses import MessageStatus
from rules.codes import FindingCode
from rules.texts import REASONS
from tests.console.served import Shown, browse, make_user, serving_console

DOCS = Path(__file__).resolve().parents[3] / "docs"


def words(text: str) -> list[str]:
    """The words of a text, whatever marks stand around them."""
    return re.findall(r"\w+", re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL))


async def test_a_guide_is_shown_word_by_word(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        contents = await browser.get("/help")
        for guide, name in GUIDES.items():
            shown = await browser.get(f"/help/{guide}")
            source = (DOCS / name).read_text(encoding="utf-8")
            # What a link's target says isn't read, nor the language of a block of code.
            source = re.sub(r"\]\([^)]*\)", "]", re.sub(r"```\w*", "", source))
            main = words(shown.text.split("Chapters")[0])
            end = main.index("SMS", main.index("Help") + 3)
            assert words(source)[5:] == [*main[end:]][-len(words(source)[5:]) :], guide
            check_anchors(shown)
            assert [text for text, path in contents.links if path.startswith(f"/help/{guide}#")]
        assert (await browser.get("/help/passwd")).status == 404


def check_anchors(shown: Shown) -> None:
    """Every link to a place on the page has its place."""
    ids = re.findall(r'id="([^"]+)"', shown.body)
    assert len(ids) == len(set(ids))
    for _, path in shown.links:
        if path.startswith("#"):
            assert path[1:] in ids, path


async def test_statuses_and_reasons_are_those_of_the_code(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        shown = await browser.get("/help/statuses")
        for status, meaning in STATUS_MEANINGS.items():
            assert f"{status.word} {meaning}" in shown.text
        for code, error in ERROR_MEANINGS.items():
            assert f"{code.value} {error.meaning} {error.worth_retrying}: {error.advice}" in shown.text
        shown = await browser.get("/help/reasons")
        for finding, reason in REASONS.items():
            assert f"{finding.value} {reason.meaning} {reason.cure}".replace("`", "") in shown.text.replace(
                " ,", ","
            ), finding
        check_anchors(shown)


def test_each_status_and_each_code_has_one_place() -> None:
    assert [status for _, statuses in GROUPS for status in statuses] == list(MessageStatus)
    assert sorted(code for section in sections() for code in section.codes) == sorted(FindingCode)
    assert all(section.codes for section in sections())


def test_links_of_the_guides_lead_to_places_that_are_there() -> None:
    anchors = {name: {block.anchor for block in blocks_of(guide)} for guide, name in GUIDES.items()}
    anchors["reasons.md"] = {section.anchor for section in sections()}
    for guide, name in GUIDES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", (DOCS / name).read_text(encoding="utf-8")):
            page, _, anchor = target.partition("#")
            if anchor and not target.startswith("https:"):
                assert anchor in anchors[page or name], (guide, target)


def test_markdown_is_read_as_it_is_meant() -> None:
    text = """# A `b` c

One *two*
**three `four`** [five](six.md#7).

- eight
  nine
- ten

    eleven

```sh
twelve | 13
```

| a | |
|---|---|
| `x\\|y` | z |
"""
    blocks = read_blocks(text)
    assert [block.kind for block in blocks] == ["heading", "paragraph", "list", "code", "code", "table"]
    assert (blocks[0].level, blocks[0].anchor) == (1, "a-b-c")
    assert [piece.kind for piece in blocks[1].pieces] == [
        "text",
        "em",
        "text",
        "strong",
        "text",
        "link",
        "text",
    ]
    assert plain(blocks[1].pieces) == "One two three four five."
    assert [plain(row[0]) for row in blocks[2].rows] == ["eight nine", "ten"]
    assert [block.text for block in blocks[3:5]] == ["eleven", "twelve | 13"]
    assert [[plain(cell) for cell in row] for row in blocks[5].rows] == [["a", ""], ["x|y", "z"]]
    assert read_pieces("`**a**`") == (read_pieces("`**a**`")[0],)
