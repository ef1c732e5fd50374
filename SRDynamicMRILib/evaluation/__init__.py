"""Comparison with the ground truth."""
