"""A hub's papers: how they are made, asked of a parent, renewed, and made for a broker."""
