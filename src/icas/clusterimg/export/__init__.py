"""``clusterimg export``: a data set of the labelled images of a finished run."""
