"""What `skerry-agent doctor` makes of the facts, pure. Not loaded by the daemon."""
