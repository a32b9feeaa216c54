"""Images -> features, on workers."""
