"""Finds out how a hub's directory and its machine are, for `skerry doctor --data`; changes nothing."""
