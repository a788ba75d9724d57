"""Another version of the agent on this device: what the daemon asks for, and where root's part starts."""
