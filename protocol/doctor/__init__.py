"""What both doctors share, pure: the facts about files, papers, stores and ways, and what they mean for people."""
