"""What every HTTP way in shares: connections and their limits, HTTP/1.1 for strangers, TLS, real addresses, request ids.

It knows no page and no table.
"""
