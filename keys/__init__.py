"""Who may come in: campaigns and their templates, their public keys, the host keys, the audit trail.

In: admin commands, and the front's question at login. Out: rows of `campaigns`, `template_bodies`, `ssh_keys`,
`host_key_fingerprints` and `audit_events`. `sftpd` asks here who is at the door; `processing` what a campaign's template is.
"""
