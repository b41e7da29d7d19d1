"""A small language model behind an API."""
