"""Landlock rules: the process gives up file access itself, whatever is mounted (Linux 5.13 or newer).

Inside the namespaces this is a second wall: only the named folders can be written, and signals and abstract sockets do
not leave the sandbox (ABI 6). Source: ``linux/landlock.h``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from autograder.sandbox.isolation.syscalls import no_new_privileges, syscall

__all__ = ["abi", "restrict"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_LAST_RIGHT = {1: 12, 2: 13, 3: 14, 4: 14}  # REFER came with 2, TRUNCATE with 3, IOCTL_DEV with 5
_SCOPE_SIGNALS_AND_ABSTRACT_SOCKETS = 3


def abi() -> int:
    """Return the Landlock version of this kernel, 0 where there is none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(writable: Sequence[str], *, scoped: bool = True) -> bool:
    """Allow reading everywhere and writing below ``writable`` only; return whether the kernel could do it."""
    version = abi()
    if version < 1:
        return False
    rights = (1 << (_LAST_RIGHT.get(version, 15) + 1)) - 1
    scope = _SCOPE_SIGNALS_AND_ABSTRACT_SOCKETS if scoped and version >= 6 else 0
    attributes = struct.pack("QQQ", rights, 0, scope)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        _allow(ruleset, "/", _READ | (1 << 15 & rights))
        for path in writable:
            _allow(ruleset, path, rights)
        no_new_privileges()
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - the descriptor's path, kept as text
            rights &= _FILE_RIGHTS
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, parent), 0)
    finally:
        os.close(parent)
