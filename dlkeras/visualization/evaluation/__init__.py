"""Figures of a trained classifier: confusion matrix, calibration, mistakes."""
