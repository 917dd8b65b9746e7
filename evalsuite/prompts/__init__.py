"""Rows → messages."""
