"""Features or links -> clusters, per batch and across batches."""
