"""The rosters of a link between hubs: what a hub last knew of the nodes below it, told to its parent (DESIGN 4)."""
