"""The rules of INVARIANTS.md as code: one checker for each, over a recorded history. Simulated or real, the same checkers."""
