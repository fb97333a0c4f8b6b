"""The tables of all folders of pages, in one: a test walks it with every role."""

from typing import Final

import console.administration.pages
import console.billing.pages
import console.logs.pages
import console.technical.pages
from console.campaigns import (
    about,
    accounts,
    deletion,
    home,
    members,
    new_channel,
    new_content,
    new_look,
    new_name,
)
from console.guides import calculator, file_count, help_pages
from console.integrations import api_keys, changes, overview, ssh_keys
from console.login import account, confirm, pages
from console.messages import batch, batch_changes, batches, delivery_reports, listing, message
from console.routes import ConsoleRoute
from console.sending import checks, files, sample, single
from console.uploads import lists, one, reports

ROUTES: Final[tuple[ConsoleRoute, ...]] = (
    *console.technical.pages.ROUTES,
    *console.administration.pages.ROUTES,
    *console.billing.pages.ROUTES,
    *pages.ROUTES,
    *account.ROUTES,
    *confirm.ROUTES,
    *home.ROUTES,
    # Before the pages of campaigns, whose paths would take `new` for an id.
    *new_name.ROUTES,
    *new_channel.ROUTES,
    *new_content.ROUTES,
    *new_look.ROUTES,
    *about.ROUTES,
    *overview.ROUTES,
    *changes.ROUTES,
    *api_keys.ROUTES,
    *ssh_keys.ROUTES,
    *members.ROUTES,
    *accounts.ROUTES,
    *deletion.ROUTES,
    *calculator.ROUTES,
    *file_count.ROUTES,
    *listing.ROUTES,
    *batches.ROUTES,
    *batch.ROUTES,
    *batch_changes.ROUTES,
    *delivery_reports.ROUTES,
    *console.logs.pages.ROUTES,
    *message.ROUTES,
    *help_pages.ROUTES,
    *single.ROUTES,
    *files.ROUTES,
    *sample.ROUTES,
    *checks.ROUTES,
    *lists.ROUTES,
    *one.ROUTES,
    *reports.ROUTES,
)
