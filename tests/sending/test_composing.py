"""What can't be composed fails with a line that tells no values, and keeps nothing else from leaving or being looked up."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from config.sending_sections import SendingSettings
from config.settings import Settings
from database.connections import Connection, Pool
from messages.attempts import record_answers
from messages.news import Answer
from messages.statuses import MessageStatus
from sending.composing import Composer, TextParts
from sending.providers.provider import Provider
from sending.upkeep.look_ups import LookUps
from tests.messages.builders import NOW, fetch_attempt, later, make_batch
from tests.sending.sending_node import NotingProvider, add_batch, add_campaign, sending_node, until
from tests.sending.upkeep.scripted_provider import ScriptedProvider

BROKEN = {
    "a frame that is no object": "update batches set frame = '[1]' where batch_no = $1",
    "a frame without its pieces": "update batches set frame = '{}' where batch_no = $1",
    "a frame without the language": """update batches set frame = '{"before": "", "after": {}}' where batch_no = $1""",
    "a campaign without a body": (
        "delete from template_bodies where campaign_id = (select campaign_id from batches where batch_no = $1)"
    ),
    "values without the parameter": """update messages set "values" = '{}' where batch_no = $1""",
    "values that are a list": """update messages set "values" = '["Tan"]' where batch_no = $1""",
    "a value that is no text": """update messages set "values" = '{"name": 7}' where batch_no = $1""",
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN)
async def test_what_cannot_be_composed_fails_and_the_line_goes_on(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str, breaking: str
) -> None:
    own_campaign = await add_campaign(connection, "broken-campaign")
    broken = await add_batch(connection, own_campaign, 3, value="Secretive")
    await connection.execute(breaking, broken)
    other = await add_batch(connection, campaign_id, 3)
    with capture_logs() as logs:
        async with sending_node(settings, pool, NotingProvider()) as node:
            await until(lambda: len(node.provider.rows_of(other)) == 3, "the other batch at the provider")
            # Whatever was claimed with it is at the provider or has failed: the dispatcher lives on.
            while await connection.fetchval(  # noqa: ASYNC110 - PostgreSQL tells nobody
                "select failure < 3 from batches where batch_no = $1", broken
            ):
                await asyncio.sleep(0.01)
            later_batch = await add_batch(connection, campaign_id, 2)
            await until(lambda: len(node.provider.rows_of(later_batch)) == 2, "a later batch at the provider")
    assert node.provider.rows_of(broken) == []
    assert await connection.fetchval("select errors from batches where batch_no = $1", broken) == (
        '{"server_unknown_error": 3}'
    )
    told = [line for line in logs if line["event"] == "text_unwritten"]
    assert sum(line["messages"] for line in told) == 3
    assert {line["batch_no"] for line in told} == {broken}
    assert "Secretive" not in str(told)


async def test_what_is_forgotten_meanwhile_keeps_nothing_from_being_composed(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    """Others compose at the same time, and push out what was kept; a database may turn out to be another one."""
    batch = await make_batch(connection, campaign_id)
    parts = TextParts(batch.key(), "english", '{"name": "Tan"}')
    composer = Composer()
    async with pool.acquire() as composing, pool.acquire() as watching:
        async with connection.transaction():
            await connection.execute("lock template_bodies in access exclusive mode")
            texts = asyncio.create_task(composer.compose(composing, [parts]))
            waiting = (
                "select count(*) from pg_locks where not granted and relation = 'template_bodies'::regclass"
            )
            while not await watching.fetchval(waiting):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
            composer.forget()
        assert await texts == {batch.key(): "Dear Tan"}
        assert await composer.compose(composing, [parts]) == {batch.key(): "Dear Tan"}


async def test_a_text_that_cannot_be_composed_keeps_no_other_from_being_looked_up(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    broken = await make_batch(connection, campaign_id)
    whole = await make_batch(connection, other_campaign_id)
    unknown = [
        Answer(batch.key(), MessageStatus.SENDING, raw_code="timeout", due_at=later(seconds=60))
        for batch in (broken, whole)
    ]
    await record_answers(connection, unknown, now=NOW)
    await connection.execute("update batches set frame = '{}' where batch_no = $1", broken.batch_no)
    provider = ScriptedProvider()
    look_ups = _look_ups_at(pool, provider)
    assert await look_ups.look_up_due(later(seconds=60)) == 2
    assert [attempt.key for attempt in provider.asked] == [whole.key()]
    # Time ends it all the same.
    expired = SendingSettings().unknown_after + 1
    await look_ups.look_through(NOW + timedelta(seconds=expired))
    assert (await fetch_attempt(connection, broken.key()))["status"] is MessageStatus.FAILURE


def _look_ups_at(pool: Pool, provider: Provider) -> LookUps:
    async def provider_of(_sender_id: int) -> Provider:
        return provider

    return LookUps(pool, SendingSettings(), provider_of)
