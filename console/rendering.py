"""How pages are made: Jinja templates of this package, strict and escaped, and what all of them know.

Templates write no markup from values: `|safe` is for the module of charts alone, and a test looks for it.
"""

from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from console.forms import new_form_id
from console.navigation import navigation
from console.paths import url
from console.technical.static_files import StaticFiles
from rules.billing.prices import shown_cost, shown_price

SINGAPORE: Final = timezone(timedelta(hours=8), "SGT")


class Renderer:
    """Renders templates."""

    def __init__(self, static: StaticFiles) -> None:
        self._environment: Final = Environment(
            loader=PackageLoader("console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            cost=shown_cost,
            count=shown_count,
            date=shown_date,
            day=shown_day,
            iso=iso_time,
            masked=masked_number,
            price=shown_segment_price,
            size=shown_size,
            time=shown_time,
        )
        self._environment.globals.update(
            asset=static.path_of, navigation=navigation, new_form_id=new_form_id, url=url
        )

    def render(self, template: str, **values: Any) -> str:
        """The template's text with these values. A name that is missing is an error."""
        return self._environment.get_template(template).render(**values)

    def macro(self, template: str, name: str, *arguments: Any, **values: Any) -> str:
        """What one macro of a template makes: for parts of pages that are sent on their own."""
        module = self._environment.get_template(template).module
        return str(getattr(module, name)(*arguments, **values))


def shown_time(at: datetime) -> str:
    """A time as people read it: `28 Nov 2026, 09:30:12 SGT`. The zone's name is always told."""
    local = at.astimezone(SINGAPORE)
    return f"{local.day} {local:%b %Y, %H:%M:%S} SGT"


def shown_day(at: datetime) -> str:
    """A day: `28 Nov 2026`."""
    local = at.astimezone(SINGAPORE)
    return f"{local.day} {local:%b %Y}"


def shown_date(day: date) -> str:
    """A day of the calendar: `28 Nov 2026`."""
    return f"{day.day} {day:%b %Y}"


def iso_time(at: datetime) -> str:
    """A time for `<time datetime>`: `2026-11-28T09:30:12+08:00`."""
    return at.astimezone(SINGAPORE).isoformat(timespec="seconds")


def shown_count(number: int) -> str:
    """A number with its thousands apart: `474,611`."""
    return f"{number:,}"


def shown_size(byte_count: int) -> str:
    """How large a file is: `812 bytes`, `1.4 kB`, `28.9 MB`."""
    if byte_count < 1000:
        return f"{byte_count} bytes"
    if byte_count < 1_000_000:
        return f"{byte_count / 1000:.1f} kB"
    return f"{byte_count / 1_000_000:.1f} MB"


def shown_segment_price(mills: int) -> str:
    """What a segment costs: `SGD 0.046`."""
    return f"SGD {shown_price(mills)}"


def masked_number(number: str) -> str:
    """A phone number of which only the beginning and the last two digits are told: `658•••••67`."""
    if len(number) <= 5:
        return "•" * len(number)
    return f"{number[:3]}{'•' * (len(number) - 5)}{number[-2:]}"
