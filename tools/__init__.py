"""What builds data and pages of the docs from the code. Not part of the wheel."""
