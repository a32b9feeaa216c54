"""The commands of `segmentimg`."""
