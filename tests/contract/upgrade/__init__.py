"""Another version of a hub in place of the one that runs, on real files, with real packages and a real hub."""
