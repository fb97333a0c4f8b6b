"""The HTTP way in: callbacks of providers, and a health page.

It has processes of its own and starts only where it is switched on.
"""
