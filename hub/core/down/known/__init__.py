"""What a hub knows of all that is below it: each node, and what they come to."""
