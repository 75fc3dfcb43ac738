"""Corpora: files in their official layouts to marked instances."""
