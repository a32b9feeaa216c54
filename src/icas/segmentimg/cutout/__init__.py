"""Cutting one object out of a picture, from rectangles and strokes; no windows."""
