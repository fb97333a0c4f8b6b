"""Agencies and their people: whose address is whose, who may create and own campaigns, who is a member of which.

In: what ops say at the command line, later what the console asks. Out: users with their rights, decided by `permissions`.
"""
