"""Readers that need no engine: Dockerfiles, Compose files, build contexts, layers, sizes and image archives."""
