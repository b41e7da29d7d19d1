"""Processes behind the wall: the fork server, the learner's process, the judge. They run beside hostile code.

May import: ``sandbox.rpc`` and ``sandbox.isolation``. Nothing here may know a secret that a submission must not see.
"""
