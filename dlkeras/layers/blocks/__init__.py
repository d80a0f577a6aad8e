"""Blocks: layers made of layers."""
