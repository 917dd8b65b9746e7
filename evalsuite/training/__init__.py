"""Recipes to checkpoints."""
