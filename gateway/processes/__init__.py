"""A node as a tree of processes: the parent, its children, and what each of them opens."""
