"""What of a hub looks at the tiers below its own children."""
