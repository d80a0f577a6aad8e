"""Is a model good: uncertainty, robustness, parts of the data."""
