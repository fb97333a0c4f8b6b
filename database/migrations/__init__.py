"""The schema's history: numbered SQL files, forward only, each safe while the release before it still runs."""
