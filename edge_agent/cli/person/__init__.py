"""The commands of the person at the device: looking and deciding."""
