"""The threshold picker: a matplotlib window or notebook widget."""
