"""Another version of this hub: who asks root for it, what root believes, and what the new one says of itself."""
