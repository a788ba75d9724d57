"""Another version of the agent on this device: what the daemon asks for, and what root does apart from it."""
