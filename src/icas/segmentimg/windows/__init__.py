"""The windows in which pictures are painted: thin loops over OpenCV's HighGUI."""

from __future__ import annotations
