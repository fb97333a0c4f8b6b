"""What tests of the console use: settings with which it runs."""

import pytest
from pydantic import SecretStr

from config.settings import Settings

SECRET = "a-secret-of-tests-that-nobody-else-has"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings, with which a console runs."""
    console = settings.console.model_copy(update={"secret": SecretStr(SECRET)})
    return settings.model_copy(update={"console": console})
