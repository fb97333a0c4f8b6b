"""What is charged, and how much."""
