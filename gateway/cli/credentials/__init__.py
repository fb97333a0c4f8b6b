"""The commands about what proves who somebody is: agencies' public keys, this gateway's host keys, accounts at Twilio."""
