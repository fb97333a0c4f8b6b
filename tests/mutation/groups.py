"""What is mutated, and which tests must notice."""

from dataclasses import dataclass
from typing import Final

# Of test_pace.py those that send nothing; the others send from several nodes for seconds, which no mutant can wait for.
_PACE: Final = tuple(
    f"tests/sending/test_pace.py::test_{name}"
    for name in (
        "a_block_is_a_tenth_to_a_fifth_of_a_second_of_the_rate",
        "a_block_is_no_larger_than_what_goes_out_in_its_time",
        "answers_that_come_late_are_given_longer_and_no_longer_than_needed",
        "what_leaves_late_brings_no_second_above_the_limit",
        "what_many_processes_reserve_anew_is_never_taken_for_a_clock_set_back",
    )
)


@dataclass(frozen=True, slots=True)
class Group:
    """Modules whose mutants are tried by the same tests. Both are paths from the project's root; modules may be patterns.

    `sample`: how many mutants are tried, drawn with a fixed seed; None: all. `servers`: the tests need PostgreSQL and S3, which
    are started once for all mutants. `allowance`: seconds that the tests of a mutant may take beside four times their usual time.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    sample: int | None = None
    servers: bool = False
    allowance: int = 8


@dataclass(frozen=True, slots=True)
class SQLGroup:
    """Functions of the database whose mutants are tried by the same tests, and how many of them, drawn with a fixed seed."""

    name: str
    functions: tuple[str, ...]
    tests: tuple[str, ...]
    sample: int


GROUPS: Final = (
    Group("rules", ("rules/*",), ("tests/rules",), sample=500),
    Group("interruption", ("sftpd/spool/interruption.py",), ("tests/sftpd/spool/test_interruption.py",)),
    Group(
        "limits",
        (
            "config/sizes.py",
            "sftpd/budgets.py",
            "sftpd/connections/limits.py",
            "sftpd/connections/pacing.py",
            "sftpd/connections/shutouts.py",
            "sftpd/spool/usage.py",
            "sftpd/spool/written_ranges.py",
            "web/floods.py",
            "web/pacing.py",
        ),
        (
            "tests/config",
            "tests/sftpd/test_budgets.py",
            "tests/sftpd/connections",
            "tests/sftpd/spool",
            "tests/web/test_floods.py",
            "tests/web/test_pacing.py",
        ),
    ),
    Group(
        "admission",
        ("api/admission.py", "api/admission_groups.py", "api/groups.py"),
        ("tests/api/admission", "tests/api/test_groups.py", "tests/api/test_limits.py"),
        sample=80,
        servers=True,
        allowance=180,
    ),
    Group(
        "claims",
        ("sending/claims.py", "sending/pacing.py"),
        ("tests/sending/claims", *_PACE),
        sample=100,
        servers=True,
        allowance=180,
    ),
    Group("billing", ("billing/*",), ("tests/billing",), sample=150, servers=True, allowance=180),
)
SQL_GROUPS: Final = (
    SQLGroup(
        "claims-sql",
        ("claim_messages", "reserve_time", "furthest_reserved"),
        ("tests/sending/claims", *_PACE),
        sample=40,
    ),
    SQLGroup(
        "billing-sql",
        (
            "attempt_outcome",
            "usage_day",
            "lock_open_usage",
            "count_changed_attempts",
            "count_new_attempts",
            "usage_differences",
            "paying_agency",
            "payable_campaigns",
        ),
        (
            "tests/billing/test_usage.py",
            "tests/billing/test_usage_triggers.py",
            "tests/billing/test_usage_recount.py",
            "tests/billing/test_usage_backfill.py",
            "tests/billing/test_closing.py",
            "tests/billing/test_many_campaigns.py",
        ),
        sample=40,
    ),
)
