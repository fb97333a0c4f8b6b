"""Debian's Chromium, driven by Playwright: one process a run, a context of its own (cookies, cache) for each test.

A page that breaks the content security policy, or writes an error to the browser's console, fails its test.
"""

import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import BrowserContext, ConsoleMessage, Page, async_playwright, expect

from console.login.sessions import COOKIE

AXE = Path(AXE_FILE_PATH).read_text(encoding="utf-8")
PROGRAM = shutil.which("chromium")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The rules of axe-core that look at colours.
COLOURS = ["color-contrast", "link-in-text-block"]

# Milliseconds that a test waits for what a page is to show: other tests run beside it.
_PATIENCE = 20_000


@contextmanager
def chromium_process(folder: Path) -> Iterator[str]:
    """Run Chromium; gives the address under which it is driven."""
    assert PROGRAM is not None
    log = folder / "chromium.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-extensions",
             "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
        )  # fmt: skip
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it listens, as its log says once it does."""
    end = time.monotonic() + 60
    while not (found := re.search(r"DevTools listening on (ws://\S+)", log.read_text(errors="replace"))):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < end, log.read_text(errors="replace")
        time.sleep(0.05)
    return found[1]


class Complaints:
    """What the browser has to say against a page."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.lines.append(f"error: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.lines.append(f"{message.type}: {message.text}")


@asynccontextmanager
async def open_context(
    address: str, port: int, session: str | None = None, **options: Any
) -> AsyncIterator[tuple[BrowserContext, Complaints]]:
    """A context in which that session is logged in; `options` are Playwright's, such as color_scheme or java_script_enabled."""
    complaints = Complaints()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        context = await browser.new_context(base_url=f"http://127.0.0.1:{port}", locale="en-SG", **options)
        context.set_default_timeout(_PATIENCE)
        # It has a limit of its own, of 5 s.
        expect.set_options(timeout=_PATIENCE)
        context.on("page", complaints.watch)
        if session is not None:
            await context.add_cookies(
                [{"name": COOKIE, "value": session, "url": f"https://127.0.0.1:{port}", "secure": True,
                  "httpOnly": True, "sameSite": "Lax"}]
            )  # fmt: skip
        try:
            yield context, complaints
        finally:
            await context.close()
            await browser.close()
    assert not complaints.lines, complaints.lines


async def accessibility_findings(page: Page) -> list[str]:
    """What axe-core finds on the page, by the rules of WCAG 2.2 AA and its best practices."""
    await page.evaluate(AXE)
    return await _findings(page, {"type": "tag", "values": RULES})


async def _findings(page: Page, rules: dict[str, object]) -> list[str]:
    found = await page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(result => result.violations.map("
        "each => each.id + ': ' + each.nodes.map(node => node.html + ' ' + node.failureSummary).join(' | ')))",
        rules,
    )
    return [str(line) for line in found]


async def findings_in_both_themes(page: Page) -> list[str]:
    """The same, and in the dark theme what that can change: nothing but colours, as `console.css` has it."""
    found = await accessibility_findings(page)
    await page.emulate_media(color_scheme="dark")
    found += [f"dark: {line}" for line in await _findings(page, {"type": "rule", "values": COLOURS})]
    await page.emulate_media(color_scheme="light")
    return found


async def is_too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(
        await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    )
