"""The similarity graph: spanning forest, dendrogram, bridges."""
