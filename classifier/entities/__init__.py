"""Entities: the tagger that finds the mentions in plain text, on the same cached vectors as the relation head."""
