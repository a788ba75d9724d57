"""Sticks, at the hub."""
