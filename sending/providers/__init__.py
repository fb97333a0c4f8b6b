"""The providers, one module each behind the protocol in `provider.py`. Nothing here touches the database."""
