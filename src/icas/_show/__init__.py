"""`icas.show`, and what notebooks show of icas's own objects. IPython is not needed."""
