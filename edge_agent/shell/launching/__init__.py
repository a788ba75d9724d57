"""How the agent has its launcher start what runs here. Loaded by the daemon."""
