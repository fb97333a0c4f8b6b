"""A whole node, OpenSSH's client and a browser: what is uploaded appears on an open page, with who is connected."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from config.settings import Settings
from tests.conftest import run_apart
from tests.console.browser.chromium import PROGRAM, chromium_process, open_context
from tests.gateway.nodes import Node
from tests.gateway.processes.test_console import CONSOLE, log_in


@pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
async def test_uploads_by_sftp_appear_on_an_open_page(
    start_node: Callable[..., Node], settings: Settings, good_file: Path, tmp_path: Path
) -> None:
    bad_file = tmp_path / "bad.csv"
    bad_file.write_text("recipient,language,name\n6599999999,english,Emily\n+6599999998,english,James\n")
    node = start_node(**CONSOLE, SFTP_GATEWAY_CONSOLE__PROCESSES="1")
    session = run_apart(log_in(settings))
    with chromium_process(tmp_path) as address:
        async with open_context(address, node.ports["console_port"], session) as (context, _):
            page = await context.new_page()
            await page.goto("/uploads")
            await expect(page.get_by_text("Nothing has been uploaded yet")).to_be_visible()
            await expect(page.get_by_role("status").get_by_text("Live", exact=True)).to_be_visible()
            client = node.sftp()
            assert client.stdin is not None
            client.stdin.write("pwd\n")
            client.stdin.flush()
            await expect(page.get_by_role("heading", name="Connected by SFTP now: 1")).to_be_visible()
            await expect(page.get_by_role("cell", name="Logged in")).to_be_visible()
            client.stdin.write(f"put {good_file}\nput {bad_file}\n")
            client.stdin.flush()
            good, bad = (page.get_by_role("row").filter(has_text=name) for name in ("good.csv", "bad.csv"))
            await expect(good).to_contain_text("Accepted")
            await expect(good).to_contain_text("2 messages")
            await expect(bad).to_contain_text("Rejected")
            await expect(page.get_by_text("Nothing has been uploaded yet")).to_be_hidden()
            await asyncio.to_thread(client.communicate, timeout=60)
            # The newest stands above.
            await expect(page.locator("tbody[data-live] tr").first).to_contain_text("bad.csv")
            await expect(page.get_by_role("heading", name="Connected by SFTP now: 0")).to_be_visible()
            await bad.get_by_role("link", name="1 error in 1 row").click()
            await expect(page.locator("td.wrong")).to_have_text(
                re.compile(r"\+65•+98.*The number begins with a plus sign")
            )
