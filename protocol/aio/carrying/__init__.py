"""Bundles on a stick: folders that are whole, or are not taken."""
