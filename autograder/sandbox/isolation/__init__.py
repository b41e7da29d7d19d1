"""Confinement of a process: mounts, namespaces, seccomp, Landlock, control groups. This code starts as root's launcher.

May import: the standard library and ``sandbox.errors``. No byte of a stranger's is read here.
"""
