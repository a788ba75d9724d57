"""What the command lines of hub and agent do alike with files and a terminal; no daemon loads it."""
