"""A first look on one machine, with embedded servers in a folder of their own.

The demo runs a whole gateway, makes one campaign, sends two uploads and shows what came of them and of each message. The devstack
only runs the servers, for whoever works on the gateway or runs it by hand.
"""
