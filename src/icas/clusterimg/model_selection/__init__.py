"""scikit-learn models over a grid, and the choice among them."""
