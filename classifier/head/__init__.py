"""The head: a Bi-LSTM with attention. Torch only: no paths, no store, no optimiser."""
