"""The settings page Integrations: by which addresses and keys a campaign's programs come in, and where its e-mails go."""
