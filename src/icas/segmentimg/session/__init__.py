"""A painting session: opening, prefetch, saving."""
