"""Who is at the device, and what they may ask."""
