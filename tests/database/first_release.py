"""The first release, 0.1.0, as it was when its schema had one step: its program, out of this repository's history."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from config.sections import DatabaseSettings

_COMMIT: Final = "e6976e2"
_ROOT: Final = Path(__file__).parents[2]
_ROOMS: Final = ("config", "gateway", "keys", "notifications", "processing", "sftpd")
_MIGRATE: Final = """
import asyncio, sys
from pydantic import SecretStr
from config.schema import migrate
from config.sections import DatabaseSettings
asyncio.run(migrate(DatabaseSettings(url=SecretStr(sys.argv[1]))))
"""

# A database that the first release has used: so many uploads, of which a quarter each were told, refused, and are neither; a
# third of them have no outcome, the others one or two.
UPLOADS: Final = """
insert into campaigns (id, name, header, notify_email) values ('campaign_1', 'Clinic', 'Clinic', 'ops@agency.example');
insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at, outcome,
                     notified_at, notification_refused_at, notification_error)
select 'upload_' || n, 'campaign_1', 'a.csv', 'rejected', 1, 'r', now(), now(), n % 3,
       case n % 4 when 1 then '2026-11-22 08:30Z'::timestamptz end,
       case n % 4 when 2 then '2026-11-22 08:30Z'::timestamptz end,
       case n % 4 when 2 then 'the mail server refuses the recipient (SMTP 550)' end
from generate_series(1, {count}) as n;
insert into notifications (upload_id, outcome, status, facts, done_at)
select u.id, o, 'rejected', '{{}}', case when o < u.outcome then now() end
from uploads u, generate_series(1, u.outcome) as o
"""
# How many uploads say something else of their latest outcome's notification than the notification itself.
OUT_OF_STEP: Final = """
select count(*) from uploads u join notifications n on n.upload_id = u.id and n.outcome = u.outcome
where (u.notified_at, u.notification_refused_at, u.notification_error) is distinct from (n.sent_at, n.refused_at, n.error)
"""


def unpack(folder: Path) -> Path:
    """The first release's packages, in `folder`. Skips the test where this copy of the repository has no history."""
    archive = subprocess.run(
        ["git", "-C", _ROOT, "archive", _COMMIT, *_ROOMS], capture_output=True, check=False, timeout=60
    )
    if archive.returncode:
        pytest.skip(
            f"the first release, commit {_COMMIT}, is not in this copy of the repository: it needs the whole history"
        )
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True, timeout=60)
    return folder


def migrate_with(tree: Path) -> Callable[[DatabaseSettings], None]:
    """The first release's own migration."""

    def migrate(settings: DatabaseSettings) -> None:
        subprocess.run(
            [sys.executable, "-P", "-c", _MIGRATE, settings.url.get_secret_value()],
            env={**os.environ, "PYTHONPATH": str(tree)},
            check=True,
            timeout=60,
        )

    return migrate
