"""What is the user's own: networks, losses, callbacks, in the pipeline's training."""
