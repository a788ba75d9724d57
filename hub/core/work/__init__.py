"""What was asked for, and what became of it: resources, tasks, runs."""
