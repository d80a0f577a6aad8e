"""Is a model good? Uncertainty, robustness, and accuracy on parts of the data."""
