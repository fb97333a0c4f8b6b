"""Unfinished uploads on this node's disk: bytes, written ranges, notes, and how much there is."""
