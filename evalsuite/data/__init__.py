"""Rows: datasets, mirrors, packages, generators, exemplars."""
