"""Programs that run in a project's sandbox, beside the project's own code: the supervisor, probes, the course's tools.

May import: the standard library and ``course_lib``. They run beside hostile code and know no secret.
"""
