"""Unfinished uploads on this node's disk: their bytes, a note beside each, and how much space they take.

In: writes at any offset. Out: a whole upload, or a partial that can be resumed for a day.
"""
