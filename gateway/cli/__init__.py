"""The commands of `sftp-gateway`, one module per noun; each has `register(app)`, and imports what is slow when called."""
