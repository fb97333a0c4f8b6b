"""Everything is done once more while PostgreSQL logs its plans; what they read too much of is counted."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final

from benchmarks.growth.calls import CALLS, Command
from benchmarks.growth.filling import LARGE
from benchmarks.growth.plans import ROWS, Plan, faults_of
from benchmarks.growth.rig import Place

Faults = Counter[str]

# What may read more, and why: so many rows beside those that every statement may read.
ALLOWED: Final = {
    # A search looks at what it can in its time, in pieces.
    "messages/pages.sql: look_older": 200_000,
    "messages/pages.sql: filter_older": 200_000,
    # An agency's campaigns are counted up to five thousand, in an index, and looked through for what is searched for.
    "console/campaigns/home.sql: are_few": 5_000,
    # Of each campaign on the page at most 200 of its newest sends are counted.
    "console/campaigns/home.sql: list_campaigns": 20_000,
    # The newest of a campaign's events are looked through for its logins.
    "audit/events.sql: fetch_logins": 100_000,
    # Whoever sees many campaigns has the newest uploads of all looked through.
    "console/uploads/rows.sql: choose_among_newest": 20_000,
    # Of each campaign that somebody sees the newest upload is read, and a page of those of a hundred.
    "console/uploads/rows.sql: choose_uploads": 20_000,
    # What an agency is charged is summed over its campaigns.
    "billing/posted.sql: sum_usage_by_month": 100_000,
    "billing/posted.sql: list_campaigns": 100_000,
    # A month is posted once.
    "billing/closing.sql: insert_reports": 1_000_000,
    # How many campaigns an agency has, by status.
    "campaigns/people/agencies.sql: count_campaigns": 100_000,
}
# So often that PostgreSQL may have turned to a plan for all values.
_TIMES: Final = 7


async def look_at_plans(place: Place, file: Path, most_rows: int = ROWS, times: int = _TIMES) -> Faults:
    """Do everything, and while that goes on let the node do its own work. Which faults there were, how often each."""
    async with place.explained() as plans:
        await place.put(file)
        for call in CALLS:
            # A command has a connection of its own each time.
            for _ in range(1 if isinstance(call, Command) else times):
                await place.run(call)
        await place.read_metrics()
    return count_faults(plans, most_rows)


def count_faults(plans: Collection[Plan], most_rows: int = ROWS) -> Faults:
    """The faults of these plans, each by its statement."""
    large = frozenset(LARGE)
    return Counter(
        f"{plan.statement} {fault} (asked by {plan.application or 'a command'})"
        for plan in plans
        for fault in faults_of(plan, large, most_rows, ALLOWED.get(plan.statement, 0))
    )
