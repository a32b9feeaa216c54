"""The innermost loops: compiled by numba where it is installed; the answer is the same without."""

from __future__ import annotations
