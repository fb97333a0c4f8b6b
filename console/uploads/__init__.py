"""What was sent, by all ways in: lists that follow it, one upload with its story, and what was wrong with it."""
