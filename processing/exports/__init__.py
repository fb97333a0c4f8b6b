"""Message logs that are too large to wait for: made in the background, kept in the bucket for some days.

In: `exports.request_export`, in the transaction of whoever asks (the console). The job (`job`) writes the file, puts it into the
bucket and says so in its row; killed at any point, it is done again by another worker, and told once. `sweep` finds what has lost
its job, and deletes what has had its time.
"""
