"""How things look: words for times and sizes, tables for people, JSON and YAML for programs."""
