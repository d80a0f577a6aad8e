"""Figures of a training: its curves, gradients, activations, surfaces and worth."""
