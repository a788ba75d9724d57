"""Re-homing: a hub above two others says which of them a node belongs to (`orders`), and these follow (`lodging`)."""
