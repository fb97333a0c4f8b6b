"""Keys in a real browser: an API key that is copied; an SSH key that OpenSSH's client uses at once, until it is removed."""

from pathlib import Path

from playwright.async_api import expect

from config.settings import Settings
from database.connections import Connection, Pool
from keys.host_keys import HostKeyType, generate_host_key
from tests.api.served import until, until_awaited
from tests.conftest import KeyPair
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.campaigns.making import make_campaign
from tests.console.served import make_user, serving_console, session_value
from tests.sftpd.fronts import install_host_keys, running_front

PHONE = {"width": 390, "height": 844}
ROWS = "recipient,language,name,topic\n6599999999,english,Emily,passport\n"


async def test_keys_are_given_used_and_taken_away(
    chromium: str,
    settings: Settings,
    pool: Pool,
    connection: Connection,
    ed25519_key: KeyPair,
    tmp_path: Path,
) -> None:
    folder, file = tmp_path / "made-host-keys", tmp_path / "appointments.csv"
    folder.mkdir(mode=0o700)
    for kind in HostKeyType:
        generate_host_key(folder, kind, is_current=True)
    await install_host_keys(settings, pool, folder)
    file.write_text(ROWS)
    campaign_id = await make_campaign(connection)
    user = await make_user(connection, "amy@clinic.gov.sg")
    path = f"/campaigns/{campaign_id}/settings/integrations"
    async with running_front(settings, pool) as front, serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, viewport=PHONE) as (context, _):
            page = await context.new_page()
            await page.goto(path)
            await page.get_by_role("button", name="Add my address").click()
            await expect(page.get_by_text("The address is allowed to call the API.")).to_be_visible()

            await page.get_by_role("link", name="Make an API key").click()
            await page.get_by_label("Name").fill("appointment system")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("This is the only time that it is shown.")).to_be_visible()
            key = await page.locator("code[data-copy]").first.inner_text()
            assert not await accessibility_findings(page)
            assert not await is_too_wide(page)
            async with page.expect_download() as begun:
                await page.get_by_role("link", name="Save it as a file").click()
            saved = await (await begun.value).path()
            assert saved.read_text() == f"{key}\n"
            await page.get_by_role("link", name="I have kept the key").click()
            await expect(page.get_by_role("rowheader", name="appointment system")).to_be_visible()

            await page.get_by_role("link", name="Add an SSH key").click()
            await page.get_by_label("Public key").fill(ed25519_key.public_line)
            await page.get_by_role("button", name="Add the key").click()
            await expect(page.get_by_text("may log in by SFTP from now on")).to_be_visible()
            sent = await front.sftp(campaign_id, ed25519_key, f"put {file}\n")
            assert sent.status == 0, sent
            client = await front.connect(campaign_id, ed25519_key)

            # The login's audit event is written a moment after it.
            async def logins_told() -> int:
                await page.reload()
                return await page.get_by_text("from 127.0.0.1").count()

            await until_awaited(logins_told, expected=1)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                assert not await accessibility_findings(page), scheme
            assert not await is_too_wide(page)

            await page.get_by_role("link", name="Remove the key").click()
            assert not await accessibility_findings(page)
            await page.get_by_role("button", name="Remove the key").click()
            await expect(page.get_by_text("and its sessions have ended")).to_be_visible()
            await until(lambda: client.is_closed())
            refused = await front.sftp(campaign_id, ed25519_key, f"put {file}\n")
            assert refused.status == 255, refused
            assert await pool.fetchval("select count(*) from uploads") == 1


async def test_a_refused_key_is_told_first(chromium: str, settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, viewport=PHONE) as (context, complaints):
            page = await context.new_page()
            await page.goto(f"/campaigns/{campaign_id}/settings/integrations/ssh-keys/new")
            await page.get_by_label("Public key").fill("ssh-dss AAAA")
            await page.get_by_role("button", name="Add the key").click()
            summary = page.get_by_role("alert")
            await expect(summary).to_contain_text("DSA keys are too weak")
            await expect(summary).to_be_focused()
            assert not await accessibility_findings(page)
            # The browser remarks that the form was refused, and nothing else.
            assert all("400 (Bad Request)" in line for line in complaints.lines), complaints.lines
            complaints.lines.clear()
