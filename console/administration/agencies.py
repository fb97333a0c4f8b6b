"""`/ops/agencies`: all agencies, their domains, who is in charge of them and who may create campaigns."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.responses import Response

from campaigns.errors import AgencyNotFound, CampaignsError, PeopleRefused
from campaigns.people.addresses import is_government, parse_domain
from campaigns.people.agencies import Agency, add_agency, fetch_agency, list_agencies
from campaigns.people.permissions import Action
from campaigns.people.users import User, list_in_charge, set_pic
from console.administration.agency import CampaignPage, fetch_campaigns, grant_creation
from console.administration.words import said
from console.errors import PageRefused
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection

# A reference, not a text: names and addresses of people have no place in the audit trail.
_REFERENCE: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9./_#-]{2,59}", re.ASCII)
_REFERENCE_WRONG: Final = (
    "Give the reference of the CIO's letter or e-mail, such as CIO/2026/0412: no blanks, "
    "only letters, digits and . / - _ #, a digit among them"
)
_DOMAINS_MISSING: Final = "Give at least one domain, such as clinic.gov.sg"


async def show_agencies(visit: Visit) -> Response:
    """All agencies."""
    return await _shown_list(visit)


async def add(visit: Visit) -> Response:
    """A new agency with its domains."""
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            agency = await _add_domains(connection, form, form["name"], visit)
            path = url("ops_agency", agency_id=agency.id)
            return await visit.done(connection, path, f"The agency {agency.name} is there now.")
    except CampaignsError as error:
        return await _shown_list(visit, form=form, errors={"domains": said(error)})


async def show_one(visit: Visit) -> Response:
    """One agency."""
    return await _shown_one(visit)


async def change_one(visit: Visit) -> Response:
    """More domains for it, or the right to create campaigns for somebody, given or taken."""
    form = await visit.form()
    async with visit.connection() as connection:
        agency = await find(visit, connection)
    here = url("ops_agency", agency_id=agency.id)
    field = "domains" if form["do"] == "domains" else "email"
    try:
        if field == "email":
            return await grant_creation(visit, form, agency, here)
        async with visit.change(form) as connection:
            changed = await _add_domains(connection, form, agency.name, visit)
            return await visit.done(connection, here, f"{changed.name} has these domains now.")
    except CampaignsError as error:
        return await _shown_one(visit, form=form, errors={field: said(error)})


async def show_pics(visit: Visit) -> Response:
    """Who is in charge of the agency."""
    return await _shown_pics(visit)


async def change_pics(visit: Visit) -> Response:
    """Put somebody in charge of the agency, with the reference of the CIO's word, or no more."""
    form = await visit.form()
    async with visit.connection() as connection:
        agency = await find(visit, connection)
    is_pic = form["do"] == "add"
    reference = form.words("reference") if is_pic else None
    if reference is not None and not _REFERENCE.fullmatch(reference):
        return await _shown_pics(visit, form=form, errors={"reference": _REFERENCE_WRONG})
    try:
        async with visit.change(form) as connection:
            user = await set_pic(
                connection, agency, form["email"], is_pic=is_pic, reference=reference, actor=visit.actor
            )
            sentence = (
                f"{user.email} is in charge of {agency.name} now."
                if is_pic
                else f"{user.email} isn't in charge any more, and can't create campaigns. Memberships stay."
            )
            return await visit.done(connection, url("ops_agency", agency_id=agency.id), sentence)
    except CampaignsError as error:
        return await _shown_pics(visit, form=form, errors={"email": said(error)})


async def find(visit: Visit, connection: Connection) -> Agency:
    """The agency that the path names. Raises PageRefused."""
    try:
        return await fetch_agency(connection, visit.parameter("agency_id"))
    except AgencyNotFound:
        raise PageRefused(404) from None


async def _add_domains(connection: Connection, form: Form, name: str, visit: Visit) -> Agency:
    domains = form["domains"].replace(",", " ").split()
    if not domains:
        raise PeopleRefused(_DOMAINS_MISSING)
    member_only = form["member_only"] == "yes"
    outside = [domain for domain in map(parse_domain, domains) if not is_government(domain)]
    if outside and not member_only:
        raise PeopleRefused(
            f"{outside[0]} is not below gov.sg, so that its people can only be members: tick the box that says so"
        )
    return await add_agency(connection, name, domains, member_only=member_only, actor=visit.actor)


async def _shown_list(
    visit: Visit, *, form: Form | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        agencies = await list_agencies(connection)
    return await visit.page(
        "administration/agencies.html", status=422 if errors else 200, agencies=agencies, form=form, errors=errors or {}
    )  # fmt: skip


async def _shown_one(
    visit: Visit, *, form: Form | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        agency = await find(visit, connection)
        in_charge: Sequence[User] = await list_in_charge(connection, agency.id)
        page: CampaignPage = await fetch_campaigns(
            visit, connection, agency.id, after=visit.query.get("after", "")
        )
    return await visit.page(
        "administration/one_agency.html", status=422 if errors else 200, agency=agency, in_charge=in_charge, page=page,
        form=form, errors=errors or {},
    )  # fmt: skip


async def _shown_pics(
    visit: Visit, *, form: Form | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        agency = await find(visit, connection)
        pics = [user for user in await list_in_charge(connection, agency.id) if user.is_pic]
    return await visit.page(
        "administration/pics.html", status=422 if errors else 200, agency=agency, pics=pics, form=form, errors=errors or {}
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("ops_agencies", "/ops/agencies", {"GET": show_agencies, "POST": add}, Action.ADMINISTER),
    ConsoleRoute(
        "ops_agency", "/ops/agencies/{agency_id}", {"GET": show_one, "POST": change_one}, Action.ADMINISTER
    ),
    ConsoleRoute(
        "ops_pics", "/ops/agencies/{agency_id}/pics", {"GET": show_pics, "POST": change_pics}, Action.ADMINISTER, is_fresh=True
    ),
)  # fmt: skip
