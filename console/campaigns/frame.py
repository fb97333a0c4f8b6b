"""What stands around every page of one campaign: its name and state, the ways to send, and the tabs that its visitor may open.

A page's template extends `campaigns/frame.html` and fills the block `content`; its function gives it `frame`, from `open_frame`.
A tab is there once a route of its name is: pages of other folders only have to have these names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from campaigns.campaigns import Campaign, CampaignStatus, Channel, fetch_known_campaign
from campaigns.people.permissions import Action
from console.paths import has_page, url
from console.visits import Visit
from database.connections import Connection

CHANNELS: Final = {Channel.PUBLIC: "Members of the public", Channel.INTERNAL: "Internal staff"}


@dataclass(frozen=True, slots=True)
class Tab:
    """A page of a campaign, for whoever has the right to any of `needs`. `parts` are those that stand below it."""

    text: str
    page: str
    needs: tuple[Action, ...]
    parts: tuple["Tab", ...] = ()

    def pages(self) -> set[str]:
        """The names of the routes for which it is marked."""
        return {self.page, *(part.page for part in self.parts)}


@dataclass(frozen=True, slots=True)
class Link:
    """A tab as it is shown. `current` is `page` on the tab's own page, `true` on one below it, else empty."""

    text: str
    path: str
    current: str


_SEES_MESSAGES: Final = (Action.SEE_MESSAGES, Action.SEE_MASKED_MESSAGES, Action.SEE_OWN_MESSAGES)
SETTINGS_TABS: Final = (
    Tab("About", "campaign_settings", (Action.SEE_CAMPAIGN,)),
    Tab("Members", "campaign_members", (Action.MANAGE_CAMPAIGN, Action.SEE_MESSAGES)),
    Tab("Integrations", "campaign_integrations", (Action.MANAGE_CAMPAIGN,)),
    Tab("Delete", "campaign_delete", (Action.MANAGE_CAMPAIGN,)),
)
TABS: Final = (
    Tab("Messages", "campaign_messages", _SEES_MESSAGES),
    Tab("Batches", "campaign_batches", _SEES_MESSAGES),
    Tab("Logs", "campaign_logs", _SEES_MESSAGES),
    Tab("Settings", "campaign_settings", (Action.SEE_CAMPAIGN,), SETTINGS_TABS),
)
SEND_TABS: Final = (
    Tab("Send one message", "send_single", (Action.SEND,)),
    Tab("Send a file", "send_file", (Action.SEND,)),
)


@dataclass(frozen=True, slots=True)
class CampaignFrame:
    """The frame of one page. `here` is the name of the page's tab."""

    campaign: Campaign
    here: str
    tabs: tuple[Link, ...]
    parts: tuple[Link, ...]
    sends: tuple[Link, ...]

    @property
    def part(self) -> str:
        """What the page is called, for its title."""
        links = self.parts or self.tabs
        return next((link.text for link in (*links, *self.sends) if link.current == "page"), "Campaign")

    @property
    def channel(self) -> str:
        """Whom its messages go to, in words."""
        return CHANNELS[self.campaign.channel]


async def open_frame(visit: Visit, connection: Connection, here: str) -> CampaignFrame:
    """The frame around the visit's campaign, on the page of the tab named `here`."""
    campaign = await fetch_known_campaign(connection, visit.campaign_id)
    above = next((tab for tab in TABS if here in tab.pages()), None)
    return CampaignFrame(
        campaign,
        here,
        tuple(_links(visit, TABS, here)),
        tuple(_links(visit, above.parts, here)) if above is not None and above.parts else (),
        tuple(_links(visit, SEND_TABS, here)) if campaign.status is CampaignStatus.ACTIVE else (),
    )


def campaign_path(campaign_id: str) -> str:
    """Where a campaign is opened."""
    page = "campaign_messages" if has_page("campaign_messages") else "campaign_settings"
    return url(page, campaign_id=campaign_id)


def _links(visit: Visit, tabs: tuple[Tab, ...], here: str) -> Iterator[Link]:
    for tab in tabs:
        if has_page(tab.page) and any(visit.may(action) for action in tab.needs):
            path = url(tab.page, campaign_id=visit.campaign_id)
            is_page = tab.page == here and (not tab.parts or visit.request.url.path == path)
            yield Link(tab.text, path, "page" if is_page else "true" if here in tab.pages() else "")
