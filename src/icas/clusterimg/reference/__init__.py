"""New images looked up in a reference folder."""
