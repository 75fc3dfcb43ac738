"""E-SVM: an ensemble of support vector machines over features of the pair, after Bhasuran and Natarajan (2018)."""
