"""The suite proves itself: each mutant breaks one rule of INVARIANTS.md on purpose, and something must turn red."""
