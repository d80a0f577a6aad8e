"""How your images become training batches: sources, splits, shards, statistics."""
