"""Pre-training of the character language model (CSE) and the word biLM (ELMo)."""
