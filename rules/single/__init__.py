"""The rules of a row, for one message that is sent on its own: by a call, or by a form."""
