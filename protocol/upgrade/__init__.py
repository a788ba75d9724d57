"""Another version in place of the one that runs: what decides, the same for an agent and for a hub."""
