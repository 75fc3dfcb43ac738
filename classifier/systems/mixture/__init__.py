"""Runs that are mixed: their probabilities are averaged."""
