"""What a browser is called in e-mails and lists: words of ours, since what it says of itself may be anybody's text. Pure."""

import re
from typing import Final

_LONGEST: Final = 1000
# The first that is found: most browsers also name those that they want to be taken for.
_BROWSERS: Final = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d{1,4})"),
    ("Opera", r"OPR/(\d{1,4})"),
    ("Samsung Internet", r"SamsungBrowser/(\d{1,4})"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d{1,4})"),
    ("Chrome", r"(?:HeadlessChrome|Chrome|CriOS)/(\d{1,4})"),
    ("Safari", r"Version/(\d{1,4})[\d.]* (?:Mobile/\w+ )?Safari/"),
)
_SYSTEMS: Final = (
    ("Android", "Android"), ("iOS", "iPhone"), ("iPadOS", "iPad"), ("Windows", "Windows NT"), ("macOS", "Macintosh"),
    ("ChromeOS", "CrOS"), ("Linux", "Linux"),
)  # fmt: skip


def describe_browser(user_agent: str) -> str:
    """Such as `Firefox 140 on Windows`."""
    text = user_agent[:_LONGEST]
    browser = "unknown browser"
    for name, pattern in _BROWSERS:
        found = re.search(pattern, text, re.ASCII)
        if found:
            browser = f"{name} {found[1]}"
            break
    system = next((name for name, word in _SYSTEMS if word in text), None)
    return f"{browser} on {system}" if system else browser
