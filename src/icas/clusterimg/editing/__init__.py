"""Changes to a finished result: constraints, other thresholds, splits, resuming."""
