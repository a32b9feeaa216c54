"""One run of `clusterimg` from scan to report."""
