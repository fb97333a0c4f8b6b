"""The pages about campaigns: the list of them, and making a new one."""
