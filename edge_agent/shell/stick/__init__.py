"""Bundles at this device: they come and go through the control socket, so that the daemon needs no sight of a stick."""
