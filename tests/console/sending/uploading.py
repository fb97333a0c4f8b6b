"""How tests send a file by a form without JavaScript, and wait until its page says something else."""

import asyncio
from uuid import uuid4

from tests.console.served import Browser, Shown

GOOD = (
    "recipient,language,name,topic\r\n"
    "6591234567,english,Tan,letter\r\n"
    "6591234567,chinese,\u9648,\u4fe1\r\n"
    "6590000000,english,Lee,parcel\r\n"
    "60123456789,english,Lim,book\r\n"
).encode()
BAD = b"recipient,language,name,topic\r\n+6591234567,english,Tan,letter\r\n6591234568,english,,x\r\n"
BOUNDARY = "a-boundary-of-tests"


def multipart(content: bytes, name: str = "clinic.csv", form_id: str | None = None) -> bytes:
    """The body of such a form."""
    parts = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"form_id\"\r\n\r\n{form_id or uuid4().hex}\r\n"
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n"
        "Content-Type: text/csv\r\n\r\n"
    )  # fmt: skip
    return parts.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


async def send_file(
    browser: Browser,
    campaign_id: str,
    content: bytes = GOOD,
    name: str = "clinic.csv",
    *,
    form_id: str | None = None,
) -> Shown:
    """What is answered to the form; not followed."""
    return await browser.say(
        "POST",
        f"/campaigns/{campaign_id}/send-file",
        body=multipart(content, name, form_id),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )


async def until(browser: Browser, path: str, text: str) -> Shown:
    """The page, once it says this."""
    async with asyncio.timeout(60):
        while text not in (shown := await browser.get(path)).text:
            assert shown.status == 200, shown.text
            await asyncio.sleep(0.05)
    return shown


async def checked(browser: Browser, campaign_id: str, content: bytes = GOOD, text: str = "Good") -> Shown:
    """The page of a file that was sent, once it says so."""
    answer = await send_file(browser, campaign_id, content)
    assert answer.status == 303, answer.text
    return await until(browser, answer.location, text)
