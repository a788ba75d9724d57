"""How much of what is to be sent goes now."""
