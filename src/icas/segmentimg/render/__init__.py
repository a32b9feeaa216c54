"""Images seen through a viewport, for windows and notebooks."""
