"""Choosing a threshold: sample, automatic choice."""
