"""Seeing: frame sources, detectors and their runtimes, tiling, tracking and the model catalogue."""
