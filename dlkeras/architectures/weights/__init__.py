"""Weights from files: names, matching, formats, and the weights we ship."""
