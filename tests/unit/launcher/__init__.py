"""What the launcher refuses, and what the core does about what a device cannot enforce."""
