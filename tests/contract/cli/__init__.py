"""The command and a real hub."""
