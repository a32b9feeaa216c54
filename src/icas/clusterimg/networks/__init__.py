"""Networks that give features: loading, weights, taps, whitening."""
