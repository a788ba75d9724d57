"""What is said of where nodes belong: the Moves as they are made, the ways they take, and who has followed them."""
