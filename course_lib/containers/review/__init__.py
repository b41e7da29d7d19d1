"""Reviews of Dockerfiles and Compose files: the rules, and the first finding that matters."""
