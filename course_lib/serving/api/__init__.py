"""The REST API: routes, schemas, errors, state, limits, metrics, and the server that runs it."""
