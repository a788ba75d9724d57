"""Routes about this hub among others."""
