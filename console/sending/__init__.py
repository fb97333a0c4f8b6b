"""The pages that send: one message, or a file, which is checked first and sent when its sender has seen what it would send."""
