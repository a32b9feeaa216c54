"""Files of images: finding, reading and limits, sandboxed decoding, whole-file writing, locks."""
