"""How workloads run. One runner for each kind of isolation, all with the interface of `base.Runner`."""
