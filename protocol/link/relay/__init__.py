"""Relaying: a hub wraps what its children told for its parent, who unwraps it (decision 0030)."""
