"""What is declared of the fleet itself, and not of what runs on it."""
