"""Maintenance: what is done with whole feature sets, beside filling and reading them.

In: the place of a set or of a store. Out: what is in it (usage, inspect, explain), whether it is sound (verify, which
also repairs), and the same vectors elsewhere (bundle), in another form (rewrite) or in fewer columns (views).
"""
