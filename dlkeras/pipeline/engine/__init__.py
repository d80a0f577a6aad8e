"""What carries a component out: its key, its cache, its place in the run."""
