"""Normalisations, of a batch and of a neighbourhood."""
