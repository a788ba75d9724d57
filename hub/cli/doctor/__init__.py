"""`skerry doctor`."""
