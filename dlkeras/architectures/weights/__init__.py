"""Weights from files: names, matching, formats, and those that are shipped."""
