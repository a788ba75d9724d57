"""The hub's core: state in, one input, effects out."""
