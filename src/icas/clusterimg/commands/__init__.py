"""The commands of `clusterimg`."""
