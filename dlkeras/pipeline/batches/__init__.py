"""Batches: how examples on disk become what a network trains on."""
