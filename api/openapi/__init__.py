"""The API described for machines, as an OpenAPI 3.1 document written by hand: begin at `document.py`.

It says what 8-api.md says. Tests hold the contract's examples, and what a serving API really answers, against it.
"""
