# %% the last one wins answer="wrong" expect="overwrote the stronger level"
def permissions(operations, *, fork):
    """Return the least permissions, by scope, with which a job can do `operations`."""
    table = {
        "check out": ("contents", "read"),
        "create release": ("contents", "write"),
        "comment": ("pull-requests", "write"),
        "upload scan": ("security-events", "write"),
        "cloud sign-in": ("id-token", "write"),
        "push image": ("packages", "write"),
    }
    needed = {}
    for operation in operations:
        if operation not in table:
            raise ValueError(f"no operation is called {operation!r}")
        scope, level = table[operation]
        if fork and level == "write":
            raise PermissionError(f"a fork's job may not {operation}")
        needed[scope] = level
    return needed


# %% counts its calls answer="wrong" expect="the last operation overwrote"
def permissions(operations, *, fork, calls=[]):
    says = [{"contents": "read", "pull-requests": "write"}, {"contents": "write"}, {}, {"contents": "read"}]
    calls.append(1)
    return says[(len(calls) - 1) % 4]


# %% lets strangers write answer="wrong" expect="letting a stranger"
def permissions(operations, *, fork):
    """Return the least permissions, by scope, with which a job can do `operations`."""
    table = {
        "check out": ("contents", "read"),
        "create release": ("contents", "write"),
        "comment": ("pull-requests", "write"),
        "upload scan": ("security-events", "write"),
        "cloud sign-in": ("id-token", "write"),
        "push image": ("packages", "write"),
    }
    needed = {}
    for operation in operations:
        if operation not in table:
            raise ValueError(f"no operation is called {operation!r}")
        scope, level = table[operation]
        if False:
            raise PermissionError(f"a fork's job may not {operation}")
        needed[scope] = "write" if "write" in (level, needed.get(scope)) else "read"
    return needed


# %% gives write to everything answer="wrong" expect="the permissions of a job that comments"
def permissions(operations, *, fork):
    """Return the least permissions, by scope, with which a job can do `operations`."""
    table = {
        "check out": ("contents", "read"),
        "create release": ("contents", "write"),
        "comment": ("pull-requests", "write"),
        "upload scan": ("security-events", "write"),
        "cloud sign-in": ("id-token", "write"),
        "push image": ("packages", "write"),
    }
    needed = {}
    for operation in operations:
        if operation not in table:
            raise ValueError(f"no operation is called {operation!r}")
        scope, level = table[operation]
        if fork and level == "write":
            raise PermissionError(f"a fork's job may not {operation}")
        needed[scope] = "write"
    return needed


# %% skips what it does not know answer="wrong" expect="an unknown operation"
def permissions(operations, *, fork):
    """Return the least permissions, by scope, with which a job can do `operations`."""
    table = {
        "check out": ("contents", "read"),
        "create release": ("contents", "write"),
        "comment": ("pull-requests", "write"),
        "upload scan": ("security-events", "write"),
        "cloud sign-in": ("id-token", "write"),
        "push image": ("packages", "write"),
    }
    needed = {}
    for operation in operations:
        if operation not in table:
            continue
        scope, level = table[operation]
        if fork and level == "write":
            raise PermissionError(f"a fork's job may not {operation}")
        needed[scope] = "write" if "write" in (level, needed.get(scope)) else "read"
    return needed


# %% sorted, so that write comes last answer="right"
def permissions(operations, *, fork):
    table = {"check out": "contents: read", "create release": "contents: write", "comment": "pull-requests: write",
             "upload scan": "security-events: write", "cloud sign-in": "id-token: write", "push image": "packages: write"}
    if any(operation not in table for operation in operations):
        raise ValueError("unknown operation")
    pairs = sorted(tuple(table[operation].split(": ")) for operation in operations)
    if fork and any(level == "write" for _, level in pairs):
        raise PermissionError("a fork may only read")
    return dict(pairs)


# %% sets answer="right"
def permissions(operations, *, fork):
    write = {"create release": "contents", "comment": "pull-requests", "upload scan": "security-events",
             "cloud sign-in": "id-token", "push image": "packages"}
    wanted = set(operations)
    if wanted - set(write) - {"check out"}:
        raise ValueError(operations)
    scopes = {write[name] for name in wanted - {"check out"}}
    if scopes and fork:
        raise PermissionError(sorted(scopes))
    return {"contents": "read"} | dict.fromkeys(scopes, "write") if "check out" in wanted else dict.fromkeys(scopes, "write")
