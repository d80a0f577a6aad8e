"""Figures of a training: curves, gradients, activations, cost surfaces, transfer."""
