"""Another version of the hub on this machine: asked for, and waited for."""
