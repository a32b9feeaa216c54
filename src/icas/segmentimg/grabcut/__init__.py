"""GrabCut from boxes and strokes."""
