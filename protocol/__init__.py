"""What both ends agree on. Pure, but for `aio`."""
