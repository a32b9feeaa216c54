"""Clusters of more images than fit memory: shards of features, and a forest merged from pairs."""
