"""Public identifiers, which carry their type: `campaign_<uuid>`, `upload_<uuid>`, `batch_<uuid>` (1-postman.md §5)."""

import hashlib
import re
import uuid
from typing import Final

# 2-gateway.md §1. The column campaigns.id has a check constraint of the same form.
_CAMPAIGN_ID: Final = re.compile(r"[A-Za-z0-9_-]{3,64}", re.ASCII)


def new_identifier(kind: str) -> str:
    """A fresh random identifier, such as `upload_5f0c…` for the kind `upload`."""
    return f"{kind}_{uuid.uuid4()}"


def identifier_of(kind: str, owner: str) -> str:
    """The identifier of the one thing of this kind that `owner` can have: the same each time, and in the form of a random one."""
    digest = hashlib.sha256(f"{kind} of {owner}".encode()).digest()
    return f"{kind}_{uuid.UUID(bytes=digest[:16], version=4)}"


def is_campaign_id(text: str) -> bool:
    """Whether `text` has the form of a campaignId: one of ours, or one that an administrator chose."""
    return _CAMPAIGN_ID.fullmatch(text) is not None
