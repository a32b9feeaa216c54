"""Segmentations compared with true label maps."""
