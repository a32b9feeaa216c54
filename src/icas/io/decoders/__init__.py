"""Image formats that Pillow does not decode as needed: RAW photos, and TIFF beyond 8 bits."""
