#!/usr/bin/env bash
# Run a command where the only network is the loopback device: proof that it downloads nothing and tells nobody.
#   offline.sh COMMAND [ARGUMENT …]
# Where the system grants no network namespace, the command runs all the same and a line says that the proof is missing.
set -euo pipefail
up='ip link set lo up 2>/dev/null || python3 -c "
import fcntl, socket, struct
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack(\"16sh\", b\"lo\", 0x49))  # SIOCSIFFLAGS: up, loopback, running
"'
if unshare --net true 2>/dev/null; then
    exec unshare --net sh -c "$up"'; exec "$@"' offline "$@"
elif unshare --map-root-user --net true 2>/dev/null; then
    exec unshare --map-root-user --net sh -c "$up"'; exec "$@"' offline "$@"
fi
echo "offline.sh: no network namespace can be had here, so the command runs with the network in reach." >&2
exec "$@"
