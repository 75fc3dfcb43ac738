"""featstore: text to vectors on disk. Knows nothing of heads or metrics."""
