"""Process isolation: mounts, namespaces, seccomp, Landlock, control groups. As root's launcher this starts as root.

May import: the standard library and ``sandbox.messages``.
Hostile bytes: none come by. What is read here was written by the grader or by the kernel.
"""
