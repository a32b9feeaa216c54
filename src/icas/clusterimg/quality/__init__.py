"""Quality of images and data sets: image quality, the best of near copies, leaks between splits."""
