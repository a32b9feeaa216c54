"""Clusters compared with true labels; the cost model of a run."""
