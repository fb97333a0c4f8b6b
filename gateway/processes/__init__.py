"""A node as a tree of processes.

The parent (`node`, `supervisor`) opens the listening sockets and keeps a process group for each part (`parts`). A child
(`child_main`) runs the composition root of its part: `front` and `worker` open what a process needs, from the pool to the
listening, and close it in the opposite order. From there the way leads into the rooms.
"""
