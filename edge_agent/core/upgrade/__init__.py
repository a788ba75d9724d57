"""Another version of the agent, asked for by the root hub: what the daemon makes of it."""
