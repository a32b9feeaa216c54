"""Segment Anything: checkpoints, embedding cache, prompts, automatic masks."""

from __future__ import annotations
