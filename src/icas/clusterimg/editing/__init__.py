"""Changes of a finished result: constraints, new threshold, split, resume."""
