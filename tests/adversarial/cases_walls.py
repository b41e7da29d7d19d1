"""Attempts to see or reach something outside."""

from __future__ import annotations

from attacks import FINE, RIGHT, Attack, tries

CASES = [
    tries("file of the host read", "open('{canary}').read()"),
    tries("file of the host written", "open('{canary}', 'w').write('x')"),
    tries("root's home read", "import os\nassert os.listdir('/root') == ['x']"),
    tries("solutions read", "import course_lib, pathlib\nnext(pathlib.Path(course_lib.__file__).parents[1].glob('solutions/*'))"),
    tries("git history read", "import course_lib, pathlib\n(pathlib.Path(course_lib.__file__).parents[1] / '.git' / 'HEAD').read_text()"),
    tries("course library changed", "import course_lib\nopen(course_lib.__file__, 'a').write('x')"),
    tries("interpreter changed", "import os\nopen(os.__file__, 'a').write('x')"),
    tries("system written", "open('/usr/bin/evil', 'w')"),
    tries("etc written", "open('/etc/passwd', 'a')"),
    tries("root folder written", "open('/evil', 'w')"),
    tries("device made", "import os, stat\nos.mknod('/tmp/sda', 0o600 | stat.S_IFBLK, os.makedev(8, 0))"),
    tries("symlink out of the work folder", "import os\nos.symlink('{canary}', 'link')\nopen('link').read()"),
    tries("hard link to a file of the host", "import os\nos.link('{canary}', 'link')"),
    tries("path with dots", "open('../../../../../../..{canary}').read()"),
    tries("mount", "import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'x', '/tmp'], check=True, capture_output=True)"),
    tries("mount by system call", "import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\nassert l.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0, os.strerror(ctypes.get_errno())"),
    tries("unmount", "import ctypes\nassert ctypes.CDLL(None).umount2(b'/tmp', 2) == 0"),
    tries("chroot", "import os\nos.chroot('/tmp')"),
    tries("new user namespace", "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0"),
    tries("new user namespace by clone", "import ctypes\nassert ctypes.CDLL(None).syscall(56, 0x10000011, 0, 0, 0, 0) >= 0"),
    tries("namespace of another process joined", "import ctypes, os\nfd = os.open('/proc/1/ns/mnt', os.O_RDONLY)\nassert ctypes.CDLL(None).setns(fd, 0) == 0"),
    tries("setuid to root", "import os\nos.setuid(0)"),
    tries("set-uid program", "import subprocess\nassert b'uid=0' in subprocess.run(['su', '-c', 'id'], capture_output=True, stdin=subprocess.DEVNULL).stdout"),
    tries("ptrace of process 1", "import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0"),
    tries("memory of another process", "import ctypes, os\nassert ctypes.CDLL(None).process_vm_readv(os.getppid() or 1, 0, 0, 0, 0, 0) == 0"),
    tries("bpf", "import ctypes\nassert ctypes.CDLL(None).syscall(321, 0, 0, 0) >= 0"),
    tries("perf events", "import ctypes\nassert ctypes.CDLL(None).syscall(298, 0, 0, -1, -1, 0) >= 0"),
    tries("userfaultfd", "import ctypes\nassert ctypes.CDLL(None).syscall(323, 0) >= 0"),
    tries("kernel keyring", "import ctypes\nassert ctypes.CDLL(None).syscall(250, 0, -3, 0) >= 0"),
    tries("io_uring", "import ctypes\nassert ctypes.CDLL(None).syscall(425, 8, ctypes.create_string_buffer(200)) >= 0"),
    tries("kexec", "import ctypes\nassert ctypes.CDLL(None).syscall(246, 0, 0, 0, 0) == 0"),
    tries("32-bit system call numbers", "import ctypes\nassert ctypes.CDLL(None).syscall(0x40000000 + 39) > 0"),
    tries("host name changed", "import socket\nsocket.sethostname('evil')"),
    tries("clock set", "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)"),
    tries("connection out", "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"),
    tries("name server asked", "import socket\nsocket.getaddrinfo('example.org', 80)"),
    tries("datagram out", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))"),
    tries("listener of the host on loopback", "import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)"),
    tries("abstract socket of the host", "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{abstract}')"),
    tries("raw packets", "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    tries("host of a virtual machine", "import socket\nsocket.socket(40, socket.SOCK_STREAM)"),
    tries("docker's socket", "import socket\nsocket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')"),
    tries("signal to a process of the host", "import os\nos.kill({pid}, 0)"),
    tries("signal to the parent", "import os\nassert os.getppid() > 1\nos.kill(os.getppid(), 9)"),
    tries("other processes listed", "import os\nothers = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]\nassert others, 'alone'"),
    tries("environment of the host", "import os\nassert 'COURSE_TEST_SECRET' in os.environ, 'not there'"),
    tries("environment of process 1", "assert b'COURSE_TEST_SECRET' in open('/proc/1/environ', 'rb').read(), 'not there'"),
    tries("network interface besides loopback", "import socket\nassert len(socket.if_nameindex()) > 1, 'only loopback'"),
    tries("limits raised", "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (10000, 10000))"),
    tries("terminal injection", "import fcntl, os, termios\nmaster, slave = os.openpty()\nfcntl.ioctl(slave, termios.TIOCSTI, b'x')"),
    tries("other submissions' folders", "import pathlib\nassert [p for p in pathlib.Path('/box').iterdir() if p.name not in ('work', 'tmp')], 'none'"),
    Attack("own loopback works", RIGHT + """
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
print('connected', client.getpeername()[0])
""", FINE, says="connected 127.0.0.1"),
    Attack("own folders work", RIGHT + """
import os, subprocess, sys, tempfile
for folder in ('.', tempfile.gettempdir(), os.environ['HOME'], '/dev/shm'):
    with open(os.path.join(folder, 'mine'), 'w') as file: file.write('x')
print(subprocess.run([sys.executable, '-c', 'print("child ran")'], capture_output=True, text=True).stdout)
""", FINE, says="child ran"),
]  # fmt: skip
