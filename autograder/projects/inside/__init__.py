"""Programs that run in a project's sandbox, beside the project's own code: the supervisor, probes, the course's tools.

May import: ``sandbox.isolation``.
Hostile bytes come by, and hostile code runs beside these programs; they know no secret.
"""
