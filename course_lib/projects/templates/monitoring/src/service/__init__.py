"""Your package: rename it if you like, here and in pyproject.toml."""
