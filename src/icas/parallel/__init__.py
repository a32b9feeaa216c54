"""Workers behind one interface: threads, processes, Dask."""
