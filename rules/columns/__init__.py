"""The rules over columns of polars and numpy. Pure.

A module is named as the one outside that has the rule for one value; `measures` has none.
"""
