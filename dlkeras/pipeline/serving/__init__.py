"""Serving: how a trained network is saved, opened and asked."""
