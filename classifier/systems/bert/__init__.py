"""Fine-tuning of a transformer that was pre-trained by others (SciBERT, BioBERT, MiniLM, ..)."""
