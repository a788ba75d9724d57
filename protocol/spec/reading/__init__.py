"""From text to plain values with their places, and from errors to the words of a person."""
