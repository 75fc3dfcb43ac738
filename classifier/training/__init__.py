"""Training: the options, the loop, and what it resumes from."""
