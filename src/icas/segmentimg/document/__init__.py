"""The painted image: layers, history, palette."""
