"""Scores: metrics, their summary over folds, and significance tests. Numpy only; positive labels are named."""
