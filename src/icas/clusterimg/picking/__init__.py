"""Choosing a threshold by eye: a curve over all thresholds, and the pairs next to one of them."""
