"""What keeps a store small while it is used: its write-ahead log, and the history of children."""
