"""Pre-training of the character language model (CSE), the word biLM (ELMo) and word vectors (GloVe)."""
