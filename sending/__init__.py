"""The sending core: takes the messages of accepted batches and hands each to its provider, never twice for one attempt.

In: batches, announced by NOTIFY and found by a poll. A claim commits attempts as `sending` before a provider hears of them; what
the provider answers, its receipts, look-ups and sweeps move them up. Out: rows of `attempts`, and the counts of their batch.
"""
