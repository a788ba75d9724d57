"""How a device gets its agent from this hub: a script to read and run, and the packages that it fetches."""
