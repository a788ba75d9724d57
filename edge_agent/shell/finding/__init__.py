"""Finding a hub: the one to enroll at (`choose`), and one that moved (`seeking`, with `seeker` as its helper)."""
