"""What `skerry get` reads from a hub, and what it says below it."""
