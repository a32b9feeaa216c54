"""What both halves of icas share, and nothing else."""

from __future__ import annotations
