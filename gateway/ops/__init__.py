"""What ops ask a node: health, readiness, metrics, and whether each dependency answers."""
