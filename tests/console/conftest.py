"""What tests of the console use: settings with which it runs, and a database whose roles have their rights."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from config.settings import Settings
from database.connections import Pool
from database.grants import DatabaseRole, grant_statements
from gateway.embedded.postgres import PostgreSQLServer
from tests.console.sending.working import working

SECRET = "a-secret-of-tests-that-nobody-else-has"
GRANTED = "console_template"


@pytest.fixture(scope="session")
def template_database(postgres: PostgreSQLServer, template_database: str) -> str:
    """The schema, with the rights that `migrate --grants` gives: a console that is served has those of its role alone."""
    roles = "; ".join(
        f"if not exists (select from pg_roles where rolname = '{role}') then create role {role} login; end if"
        for role in DatabaseRole
    )
    postgres.run_sql(f"do $$ begin {roles}; end $$")
    postgres.run_sql(f"create database {GRANTED} template {template_database}")
    postgres.run_sql("\n".join(grant_statements()), GRANTED)
    return GRANTED


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with which a console runs."""
    console = settings.console.model_copy(update={"secret": SecretStr(SECRET)})
    return settings.model_copy(update={"console": console})


@pytest.fixture
async def worker(settings: Settings, pool: Pool) -> AsyncIterator[None]:
    """A worker that checks files of the console, for the length of the test."""
    async with working(settings, pool):
        yield
