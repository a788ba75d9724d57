"""What of a hub looks up: it is a child of its parent, and a root has none of this."""
