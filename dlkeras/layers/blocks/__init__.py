"""Layers made of layers: inception modules, residual blocks, side classifiers."""
