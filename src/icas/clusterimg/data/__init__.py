"""Core data types: images, features, links, and their memory."""
