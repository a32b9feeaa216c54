"""The report page and the notebook view of a result."""
