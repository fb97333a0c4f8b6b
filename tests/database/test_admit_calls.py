"""The function `admit_calls`: what it reads. What it decides is tried in tests/api/admission."""

from database.connections import Connection

ADMIT = (
    "select verdict from admit_calls("
    "array['AAAAAAAA', 'BBBBBBBB'], array[sha256('a'), sha256('b')], array[$1, $1], array['192.0.2.7', '192.0.2.7'], 10, '')"
)

# Rows and entries of indexes that this connection has read.
READ = (
    "select sum(pg_stat_get_xact_tuples_returned(oid)) from pg_class "
    "where relname ~ '^(api_keys|campaigns|api_calls)' and relkind in ('r', 'i')"
)


async def add_key(connection: Connection, prefix: str, campaign_id: str, text: bytes) -> None:
    await connection.execute(
        "insert into api_keys (prefix, campaign_id, digest) values ($1, $2, sha256($3))",
        prefix,
        campaign_id,
        text,
    )


async def test_a_plan_that_was_made_for_small_tables_finds_its_rows_in_large_ones(
    connection: Connection, campaign_id: str
) -> None:
    await connection.execute("update campaigns set api_addresses = '{192.0.2.7}'")
    await add_key(connection, "AAAAAAAA", campaign_id, b"a")
    await add_key(connection, "BBBBBBBB", campaign_id, b"b")
    for _ in range(10):
        await connection.fetch(ADMIT, campaign_id)
    await connection.execute(
        "insert into campaigns (id, name, channel, header, notify_email, allowed_sources, otp) "
        "select 'campaign_' || n, '', 'public', '', '', '{}', false from generate_series(1, 2000) as n"
    )
    await connection.execute(
        "insert into api_keys (prefix, campaign_id, digest) "
        "select lpad(n::text, 8, '0'), 'campaign_' || n, sha256(n::text::bytea) from generate_series(1, 2000) as n"
    )
    async with connection.transaction():
        before = await connection.fetchval(READ)
        rows = await connection.fetch(ADMIT, campaign_id)
        read = await connection.fetchval(READ) - before
    assert {row["verdict"] for row in rows} <= {"admitted", "rate"}
    # Two keys, their campaign twice, and its calls.
    assert 0 < read < 20
