"""Artifacts: what one component writes and the next ones read."""
