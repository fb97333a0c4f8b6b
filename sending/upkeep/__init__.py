"""What a sender does beside sending: looks attempts up, gives up on what is too old, and watches over the database's own age.

In: attempts without news, batches whose time is over, the newest claim's time in the bucket. Out: news for `messages.attempts`,
ended and held batches, paused senders.
"""
