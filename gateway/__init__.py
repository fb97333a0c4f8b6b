"""The executable `sftp-gateway`. It composes all rooms, and no room imports it.

`cli/` has the commands, `processes/` the process tree of a node, `ops/` what operators ask it, `demo/` the demo and the
devstack, `embedded/` the servers that those two and the tests use. `output` prints; `errors` gives exit statuses.
"""
