"""Runs → published tables."""
