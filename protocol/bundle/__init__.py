"""Bundles: what a link carries, in files, for where no link reaches (decision 0050)."""
