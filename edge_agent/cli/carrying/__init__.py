"""Sticks, at the device."""
