"""Grade a practice project: in a sandbox, offline, from outside."""
