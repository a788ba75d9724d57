"""The front door and real sockets."""
