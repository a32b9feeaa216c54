"""A painting session: opening images, prefetching the next ones, autosave and saving."""
