"""How a campaign is shown: to people, and in JSON."""

from typing import TYPE_CHECKING

from gateway.cli.output import for_people, print_facts, utc

if TYPE_CHECKING:
    from campaigns.campaigns import Campaign


def campaign_document(campaign: "Campaign", keys: int) -> dict[str, object]:
    """The JSON of a campaign; `keys` is how many are in force."""
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
        "keys": keys,
        "createdAt": utc(campaign.created_at),
        "suspendedAt": utc(campaign.suspended_at),
        "deletedAt": utc(campaign.deleted_at),
    }


def show_campaign(campaign: "Campaign", keys: int) -> None:
    """The same for people."""
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
        ("allowed from", ", ".join(map(str, campaign.allowed_sources)) or "anywhere"),
        ("keys in force", str(keys)),
        ("created", for_people(campaign.created_at)),
        ("suspended", for_people(campaign.suspended_at) if campaign.suspended_at else None),
        ("deleted", for_people(campaign.deleted_at) if campaign.deleted_at else None),
    ]
    print_facts(facts)
