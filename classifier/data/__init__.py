"""Data: instances and stored vectors to padded tensors."""
