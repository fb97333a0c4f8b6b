"""`/campaigns/ID/logs`: message logs to download, at once or, where they are large, as files that are made in the background.

`asking` reads what is asked for; `pages` answers; `progress` is what an open page follows.
"""
