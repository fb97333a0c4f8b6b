"""Public identifiers, which carry their type: `campaign_<uuid>`, `upload_<uuid>`, `batch_<uuid>` (1-postman.md §5)."""

import uuid


def new_identifier(kind: str) -> str:
    """A fresh random identifier, such as `upload_5f0c…` for the kind `upload`."""
    return f"{kind}_{uuid.uuid4()}"
