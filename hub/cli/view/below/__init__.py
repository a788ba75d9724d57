"""What is below a hub, as people see it: regions, where a resource is, what all that comes to."""
