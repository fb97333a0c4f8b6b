"""Single sends (8-api.md §2.1, §2.2): checked by the rules of uploads, and committed in groups before their calls are answered.

In: `work`, an endpoint's work. Out: a batch of one row, which the sending core takes up.
"""
