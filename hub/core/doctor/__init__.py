"""What `skerry doctor` makes of the facts, pure. Not loaded by the hub that serves."""
