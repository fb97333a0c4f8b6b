"""What operators ask of a node: health, readiness, metrics, and whether each thing that it depends on works."""
