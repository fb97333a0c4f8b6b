"""What an agency is told: one e-mail per outcome, composed purely, sent by SMTP.

In: a job with an upload's id. Out: the e-mail, and its fate recorded on the upload.
"""
