"""The innermost loops: compiled by numba where it is installed; the answer is the same without."""
