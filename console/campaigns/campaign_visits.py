"""The table `campaign_visits`: when each user last opened each campaign, for the order of the list."""

from typing import Final

from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "campaigns/campaign_visits.sql")


async def note_visit(visit: Visit, connection: Connection) -> None:
    """The visitor has opened the visit's campaign. What was noted a minute ago is not noted again."""
    await connection.execute(SQL["note_visit"], visit.user.id, visit.campaign_id)
