"""Training of a feature extractor on a folder of images."""
