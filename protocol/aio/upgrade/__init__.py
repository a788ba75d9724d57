"""Another version in place of the one that runs: what root does, apart from the daemon, for an agent and for a hub."""
