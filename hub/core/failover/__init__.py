"""What a hub does with a service whose node it does not hear: it waits or replaces it, and decides on its return."""
