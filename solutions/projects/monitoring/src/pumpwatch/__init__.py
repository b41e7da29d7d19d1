"""Foretell the failure of pumps, and notice when that no longer works."""
