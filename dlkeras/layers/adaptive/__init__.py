"""Adaptive filters: rules, loops, and what they are used for."""
