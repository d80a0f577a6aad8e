"""Figures of what neurons see: receptive fields, in one image and layer by layer."""
