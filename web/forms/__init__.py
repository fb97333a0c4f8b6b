"""Bodies that browsers and programs make of forms, read while they come in."""
