"""Questions to a person: are two images the same, which image to name next; names of the rest."""
