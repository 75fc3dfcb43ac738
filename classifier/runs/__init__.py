"""Runs: the folders that trainings write, and what is read back from them."""
