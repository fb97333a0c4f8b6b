"""Batches and messages: what an accepted upload becomes.

In: the COPY text of its messages, from `processing`. Out: rows that the sending core finds by the batch's status, and is
told of when the transaction commits.
"""
