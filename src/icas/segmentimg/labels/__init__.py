"""Label maps: algebra, merge tree, overlays."""
