"""What a parent keeps of each child below it, and what it tells of one."""
