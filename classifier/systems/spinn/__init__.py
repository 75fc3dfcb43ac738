"""SPINN: a shift-reduce recursive network over binary trees."""
