"""What an operator's files bring along besides folders."""
