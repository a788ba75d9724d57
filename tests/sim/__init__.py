"""The simulator: hubs and agents, real cores, codec and stores, under one virtual clock; one seed, one trace."""
