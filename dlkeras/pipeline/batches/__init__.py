"""Batches: from examples on disk to what a network is trained and judged on."""
