"""The rules of INVARIANTS.md as code: one checker each, over a recorded history, simulated or real."""
