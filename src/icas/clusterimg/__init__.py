"""Sorts a folder of mixed images into folders of similar images."""

from __future__ import annotations
