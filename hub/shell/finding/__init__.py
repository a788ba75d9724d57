"""A hub that looks for its parent, which has moved."""
