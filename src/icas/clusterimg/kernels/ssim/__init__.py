"""Kernels of SSIM: windows, bounds, pairs."""
