"""Numba kernels of ORB: corner detection, matching, geometric voting."""
