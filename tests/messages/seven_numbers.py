"""The simulator's seven numbers and the errors that they end in, as 1-postman.md §5 has them."""

from typing import Final

SEVEN_NUMBERS: Final = {
    "6511111111": "recipient_invalid",
    "6511112222": "recipient_unavailable",
    "6511113333": "content_invalid",
    "6511114444": "routing_error",
    "6511115555": "message_expired",
    "6511119999": "delivery_unknown_error",
    "6522222222": "server_unknown_error",
}
