"""clusterimg from Python."""
