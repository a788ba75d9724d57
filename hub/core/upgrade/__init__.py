"""Another version of the agents, in waves."""
