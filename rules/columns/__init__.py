"""The rules over columns of polars and numpy. Each module is named as the one outside that has the rule for one value. Pure."""
