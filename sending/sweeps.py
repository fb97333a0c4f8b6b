"""What is done again and again, on every node at once: look-ups, polls, expiries, ends of batches, ranges of messages."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from config.sending_sections import SendingSettings
from database.connections import Pool
from sending.outcomes import Outcomes
from sending.providers.provider import Provider

# The provider of a sender, by the sender's id; None where there is none, or it can't be opened now.
ProviderOf: TypeAlias = Callable[[int], Awaitable[Provider | None]]


async def sweep_forever(
    pool: Pool, settings: SendingSettings, outcomes: Outcomes, provider_of: ProviderOf
) -> None:
    """Run all sweeps until cancelled: each at its own pace, as the settings say. Safe on every node at once."""
    raise NotImplementedError
