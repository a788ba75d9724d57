"""The simulator: a hub and its agents, real cores, codec and stores, under one virtual clock; one seed, one trace."""
