"""The parts of the front door: who may wait, who may speak, what may be said."""
