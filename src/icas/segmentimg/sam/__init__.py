"""Segment Anything: checkpoints, embeddings kept between runs, prompts, automatic masks."""
