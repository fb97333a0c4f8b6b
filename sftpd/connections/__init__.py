"""A connection from its first byte to its login: accepted, counted, refused or let in."""
