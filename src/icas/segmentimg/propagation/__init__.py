"""Masks of painted images carried to similar images."""
