"""Segment Anything: checkpoints, embeddings kept between runs, prompts, automatic masks."""

from __future__ import annotations
