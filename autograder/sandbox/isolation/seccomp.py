"""Seccomp filter: the system calls that learner code may not make, as classic BPF (x86_64 and aarch64).

It is a second wall behind the namespaces: what a data scientist's program never needs and a kernel exploit often does
is refused with ``EPERM``. Sources: ``linux/seccomp.h``, ``linux/filter.h`` and the kernel's system-call tables.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

from autograder.sandbox.isolation.syscalls import libc, no_new_privileges, syscall

__all__ = ["DENIED", "install", "program"]

# name -> (x86_64, aarch64); None where the machine has no such call
DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "lookup_dcookie": (212, 18),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "vhangup": (153, 58),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "uselib": (134, None), "ustat": (136, None), "sysfs": (139, None),
    "nfsservctl": (180, 42),
}  # fmt: skip
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_IOCTL = (16, 29)
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone() can carry
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: AF_VSOCK and AF_PACKET would pass by the network namespace
_NETLINK, _NETLINK_ROUTE = 16, 0  # what getifaddrs() asks

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH_OFFSET, _ARGS = 0, 4, 16
_X32_BIT = 0x40000000
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, k)


def _refuse(number: int) -> bytes:
    return _op(_RET, _ERRNO | number)


def _when(number: int, body: Iterable[bytes]) -> list[bytes]:
    block = list(body)
    return [_op(_JEQ, number, 0, len(block)), *block]


def program(machine: str) -> bytes:
    """Return the filter for ``machine`` ("x86_64" or "aarch64") as packed ``sock_filter`` structures."""
    column = ("x86_64", "aarch64").index(machine)
    code = [
        _op(_LD, _ARCH_OFFSET), _op(_JEQ, _ARCH[machine], 1, 0), _op(_RET, _KILL), _op(_LD, _NR),
    ]  # fmt: skip
    if machine == "x86_64":
        code += [_op(_JGE, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            code += _when(number, [_refuse(errno.EPERM)])
    code += _when(_CLONE3[column], [_refuse(errno.ENOSYS)])  # its flags lie behind a pointer; glibc then uses clone
    code += _when(
        _CLONE[column],
        [_op(_LD, _ARGS), _op(_JSET, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM), _op(_RET, _ALLOW)],
    )
    code += _when(
        _IOCTL[column],
        [_op(_LD, _ARGS + 8), *(line for k in _TERMINAL_INJECTION for line in _when(k, [_refuse(errno.EPERM)])),
         _op(_RET, _ALLOW)],
    )  # fmt: skip
    code += _when(
        _SOCKET[column],
        [_op(_LD, _ARGS), *(line for k in _FAMILIES for line in _when(k, [_op(_RET, _ALLOW)])),
         _op(_JEQ, _NETLINK, 1, 0), _refuse(errno.EAFNOSUPPORT), _op(_LD, _ARGS + 16),
         _op(_JEQ, _NETLINK_ROUTE, 1, 0), _refuse(errno.EAFNOSUPPORT), _op(_RET, _ALLOW)],
    )  # fmt: skip
    return b"".join([*code, _op(_RET, _ALLOW)])


def install() -> None:
    """Put this process and all its later children behind the filter, for good."""
    machine = platform.machine()
    code = program(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    no_new_privileges()
    syscall(_SECCOMP[machine], _SET_MODE_FILTER, 0, header)
    libc()  # keeps the buffer alive until the kernel has copied it
