"""The demo: a newcomer's first minute. Everything embedded, one campaign, two uploads, and what came of them."""
