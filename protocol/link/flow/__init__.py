"""How much of what is to be sent goes now, and how much of what comes is heard."""
