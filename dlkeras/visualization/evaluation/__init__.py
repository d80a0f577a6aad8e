"""Figures of what a trained classifier answers: confusion, calibration, mistakes."""
