"""The demo: real processes on this machine, cut, killed and healed, with the proof at the end."""
