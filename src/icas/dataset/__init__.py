"""Data sets of labelled images: names of images, splits, and the formats of other programs."""
