"""The commands about billing: what agencies are charged, months and their reports, prices, and whether the totals are right."""
