"""Training: the network, the search, checkpoints and monitors around Keras's `fit`."""
