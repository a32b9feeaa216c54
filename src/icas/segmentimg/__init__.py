"""Interactive image segmentation: segment an image, then paint the segments with classes."""

from __future__ import annotations
