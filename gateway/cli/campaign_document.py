"""A campaign as `campaign show` and `campaign list` print it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.cli.credentials.twilio_secrets import account_document, account_facts
from gateway.output import for_people, print_facts, utc

if TYPE_CHECKING:
    from campaigns.campaigns import Campaign
    from campaigns.twilio_accounts import TwilioAccount


@dataclass(frozen=True, slots=True)
class ShownCampaign:
    """A campaign with what other tables know of it: how many of its keys are in force, and its account at Twilio."""

    campaign: "Campaign"
    ssh_keys: int
    api_keys: int
    account: "TwilioAccount | None"


def campaign_document(shown: ShownCampaign) -> dict[str, object]:
    """Its JSON."""
    campaign = shown.campaign
    return {
        "campaignId": campaign.id,
        "name": campaign.name,
        "channel": campaign.channel.value,
        "status": campaign.status.value,
        "header": campaign.template.header,
        "template": {language.value: body for language, body in campaign.template.bodies.items()},
        "parameters": list(campaign.template.parameters),
        "notifyEmail": campaign.notify_email,
        "allowedSources": [str(network) for network in campaign.allowed_sources],
        "keys": shown.ssh_keys,
        "otp": campaign.is_otp,
        "twilio": shown.account and account_document(shown.account),
        "createdAt": utc(campaign.created_at),
        "suspendedAt": utc(campaign.suspended_at),
        "deletedAt": utc(campaign.deleted_at),
        "apiAddresses": [str(address) for address in campaign.api_addresses],
        "apiKeys": shown.api_keys,
        "apiRate": campaign.api_rate,
        "nric": campaign.nric,
        "agencyId": campaign.agency_id,
        "creatorId": campaign.creator.id,
        "creatorEmail": campaign.creator.email,
    }


def print_campaign(shown: ShownCampaign) -> None:
    """The same for people."""
    campaign = shown.campaign
    facts: list[tuple[str, str | None]] = [
        ("campaignId", campaign.id),
        ("name", campaign.name),
        ("status", campaign.status.value),
        ("channel", campaign.channel.value),
        ("header", campaign.template.header),
    ]
    facts += [(f"body, {language}", body) for language, body in campaign.template.bodies.items()]
    facts += [
        ("CSV columns", ",".join(("recipient", "language", *campaign.template.parameters))),
        ("notified", campaign.notify_email),
        ("created by", campaign.creator.email),
        ("allowed from", ", ".join(map(str, campaign.allowed_sources)) or "anywhere"),
        ("keys in force", str(shown.ssh_keys)),
        ("one-time passwords", "yes: its single sends go first" if campaign.is_otp else None),
        ("calls the API from", ", ".join(map(str, campaign.api_addresses)) or "nowhere"),
        ("API keys in force", str(shown.api_keys)),
        ("API calls a second", None if campaign.api_rate is None else str(campaign.api_rate)),
        ("sends by NRIC", "yes" if campaign.nric else None),
        *account_facts(shown.account, awaited=campaign.channel == "internal"),
        ("created", for_people(campaign.created_at)),
        ("suspended", for_people(campaign.suspended_at) if campaign.suspended_at else None),
        ("deleted", for_people(campaign.deleted_at) if campaign.deleted_at else None),
    ]
    print_facts(facts)
