"""Cuts an image into segments and lets a person paint them."""

from __future__ import annotations
