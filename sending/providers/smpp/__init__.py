"""SMPP 3.4, the protocol of aggregators: the public channel's way out (data/smpp.md)."""
