"""Batches and messages: the rows of an accepted upload, handed over to the sending core."""
