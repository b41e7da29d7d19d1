"""Container engines: find one, build and run with it, take everything down; plan mode where there is none."""
