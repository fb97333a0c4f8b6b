"""The executable `sftp-gateway`: command line, process tree, demo, devstack, checks. Imports every room; nobody imports it."""
