"""Keys: the public SSH keys of campaigns and which kinds of them are accepted, the host keys, and who may come in.

In: changes of a campaign's keys, which `campaigns` asks for; an admin's changes of host keys; the SFTP front's question at each
login. Out: rows of `ssh_keys` and `host_key_fingerprints`, and the answer to that question. The next room is `audit`, which
records each change.
"""
