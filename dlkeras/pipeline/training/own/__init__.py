"""Your own networks, losses and callbacks in the pipeline's training."""
