"""Notifications: what an agency is told of each outcome. They are composed purely and sent by SMTP.

In: an outcome, recorded by `processing` in its own transaction, and then a job with the notification's id. Out: the e-mail, and
what became of it. The next room is `campaigns`, which knows the address.
"""
