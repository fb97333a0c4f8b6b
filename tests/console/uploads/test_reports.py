"""The page of a report: rows with faults, what is wrong in its cell, by kind and page by page; who may see and take what."""

import re

import pytest

from campaigns.people.members import remove_member, set_member
from campaigns.people.permissions import Membership
from config.settings import Settings
from console.uploads import report_rows, reports
from database.connections import Connection
from processing.object_store import open_store
from tests.console.campaigns.making import make_campaign, make_member
from tests.console.served import OPS, Shown, browse, make_user, serving_console
from tests.console.uploads.made import add_rejected, add_upload

HEADER = "recipient,language,name,topic\n"
EVIL = "<script>alert(1)</script>"
DATA = (
    HEADER
    + "6591234567,english,Em,x\n"
    + "+6591234568,english,Jo ,x\n"
    + f"6591234569,english,{EVIL},“it’s”\n"
    + "6591234560,english,Al,x,more\n"
    + "=6591234561,tamil,Bo,x\n"
)


def numbers(shown: Shown) -> list[int]:
    """The numbers of the rows on the page."""
    return [
        int(number.replace(",", ""))
        for number in re.findall(r'<th scope="row" class="number">([\d,]+)</th>', shown.body)
    ]


def cells(shown: Shown) -> list[str]:
    """The texts of the cells that are marked."""
    marked = re.findall(r'<td class="wrong">(.*?)</td>', shown.body, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in marked]


async def test_faults_stand_in_their_cells_with_characters_shown(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    upload_id = await add_rejected(connection, settings, campaign_id, DATA, f"{EVIL}.csv")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        assert f"/uploads/{upload_id}/report" in [
            path for _, path in (await browser.get(f"/uploads/{upload_id}")).links
        ]
        shown = await browser.get(f"/uploads/{upload_id}/report")
        assert numbers(shown) == [3, 4, 5, 6]
        marked = cells(shown)
        assert marked[0].startswith("+6591234568 Wrong: recipient +6591234568 begins with +")
        assert marked[1].startswith("Jo ␠ Wrong: name has spaces")
        assert marked[2].startswith(
            "“ U+201C it’ U+2019 s” U+201D Wrong: topic has the unsupported character"
        )
        assert "the row has 5 columns instead of 4" in marked[3]
        assert "language tamil is not in this campaign" in marked[-1]
        assert EVIL not in shown.body
        # The mended file is uploaded right there.
        assert shown.form(f"/campaigns/{campaign_id}/send-file").method == "post"
        assert len(marked) == 6
        # Of one kind only.
        link = next(path for text, path in shown.links if text == "The number begins with a plus sign")
        assert numbers(await browser.get(link)) == [3]
        assert numbers(await browser.get(f"/uploads/{upload_id}/report?kind=nonsense&from=x-y")) == [
            3,
            4,
            5,
            6,
        ]
        # What is asked for at random breaks nothing.
        for mark in ("3-40", "999999-999999999", "5-1"):
            assert (await browser.get(f"/uploads/{upload_id}/report?from={mark}")).status == 200


async def test_rows_come_a_page_at_a_time(
    settings: Settings, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    data = HEADER + "6591234567,english,Em,x\n+6591234567,english,Em,x\n" * 120 + "6591234567,english,,x\n"
    upload_id = await add_rejected(connection, settings, campaign_id, data)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        first = await browser.get(f"/uploads/{upload_id}/report")
        assert len(numbers(first)) == 100
        assert "The number begins with a plus sign : 120 rows" in first.text
        further = next(path for text, path in first.links if text == "Further rows")
        # Another process has counted nothing yet.
        reports._remembered.clear()
        second = await browser.get(further)
        assert numbers(second) == [*range(203, 242, 2), 242]
        assert "The number begins with a plus sign : 120 rows" in second.text
        # In a report with very many faults not all are counted, and the page says so.
        monkeypatch.setattr(report_rows, "MOST_LOOKED_AT", 50)
        reports._remembered.clear()
        part = await browser.get(f"/uploads/{upload_id}/report?kind=value_missing")
        assert "Counted in the first 50 rows with faults" in part.text
        assert "None in the part of the report that was looked through" in part.text


async def test_ops_see_no_number_and_no_value(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    ops = await make_user(connection, "ops@tech.gov.sg", is_ops=True)
    data = HEADER + "+6591234568,english,Secret Name,“it”\n6591234567,Mr Tan,JosÃ© Tan,x\n"
    upload_id = await add_rejected(connection, settings, campaign_id, data)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, ops)
        shown = await browser.get(f"/uploads/{upload_id}/report")
        assert numbers(shown) == [2, 3]
        assert "The number begins with a plus sign." in cells(shown)[0]
        for secret in ("91234568", "Secret", "Tan", "José", "“"):
            assert secret not in shown.body, secret
        assert "Download" not in shown.text.replace("report to download", "")
        assert "Upload the mended file" not in shown.text
        assert (await browser.post(f"/uploads/{upload_id}/report", {})).status == 403


async def test_the_whole_report_is_what_the_link_of_the_e_mail_gives_and_taking_it_is_recorded(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    upload_id = await add_rejected(connection, settings, campaign_id, DATA * 1, 'a"b\r\n陈.csv')
    key = await connection.fetchval("select report_key from uploads where id = $1", upload_id)
    async with serving_console(settings) as port, open_store(settings.s3) as store:
        browser = await browse(connection, settings, port, owner)
        page = await browser.get(f"/uploads/{upload_id}/report")
        taken = await browser.send(page, f"/uploads/{upload_id}/report")
        assert taken.body.encode() == await store.read(key, b"".join)
        assert taken.body.startswith("\ufeffrecipient,")
        assert taken.headers["content-type"] == "text/csv; charset=utf-8"
        assert taken.headers["content-disposition"].endswith("UTF-8''report%20of%20a%22b%0D%0A%E9%99%88.csv")
        event = await connection.fetchrow(
            "select event, actor, upload_id, details from audit_events order by id desc"
        )
        assert tuple(event or ()) == ("report_downloaded", owner.id, upload_id, "{}")
        # Gone from the bucket, as old ones are.
        await store.delete(key)
        for answer in (await browser.get(page.path), await browser.post(page.path, {})):
            assert (answer.status, "is not kept any more" in answer.text) == (404, True)


async def test_reports_are_for_those_who_see_messages(
    settings: Settings, connection: Connection, other_campaign_id: str
) -> None:
    campaign_id = await make_campaign(connection)
    restricted = await make_member(connection, campaign_id, "rae@clinic.gov.sg", Membership.RESTRICTED)
    member = await make_member(connection, campaign_id, "bob@clinic.gov.sg", Membership.MEMBER)
    own = await add_rejected(
        connection, settings, campaign_id, DATA, source="console", sha256=None, creator_id=restricted.id
    )
    by_sftp = await add_rejected(connection, settings, campaign_id, DATA)
    whole_file = await add_rejected(
        connection, settings, campaign_id, f"recipient,language,{EVIL}\n6591234567,english,x\n"
    )
    good = await add_upload(connection, campaign_id, status="accepted")
    other = await add_rejected(
        connection, settings, other_campaign_id, "recipient,language,name\n1,english,x\n"
    )
    async with serving_console(settings) as port:
        for user, statuses in ((member, (200, 200, 200, 404, 404)), (restricted, (200, 404, 404, 404, 404))):
            browser = await browse(connection, settings, port, user)
            for upload_id, status in zip((own, by_sftp, whole_file, good, other), statuses, strict=True):
                path = f"/uploads/{upload_id}/report"
                assert (await browser.get(path)).status == status, (user.email, upload_id)
                assert (await browser.post(path, {})).status == status, (user.email, upload_id)
        browser = await browse(connection, settings, port, member)
        shown = await browser.get(f"/uploads/{whole_file}/report")
        assert "no row was checked: the column name is missing" in shown.text
        assert (EVIL in shown.text, EVIL in shown.body) == (True, False)
        async with connection.transaction():
            # Whoever has only created it sees the campaign, and no message of it.
            await set_member(connection, campaign_id, member.email, Membership.OWNER, actor=OPS)
            await remove_member(connection, campaign_id, "amy@clinic.gov.sg", actor=OPS)
        browser = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        assert (await browser.get(f"/uploads/{by_sftp}")).status == 200
        assert (await browser.get(f"/uploads/{by_sftp}/report")).status == 403
