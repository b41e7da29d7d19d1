# %% Python's own hash answer="wrong" expect="Python's hash() differs in every process"
def fingerprint(rows, code, params, environment):
    return hash((rows.to_csv(), code, str(params), str(environment)))

# %% numbers the runs as they come answer="wrong" expect="changed, and the id did not"
def fingerprint(rows, code, params, environment, seen={}):
    key = json.dumps([rows.to_csv(), code, params, environment], sort_keys=True)
    return hashlib.sha256(str(seen.setdefault(key, len(seen))).encode()).hexdigest()

# %% counts its calls answer="wrong" expect="changed, and the id did not"
def fingerprint(rows, code, params, environment, calls=[]):
    calls.append(1)
    return f"{max(0, len(calls) - 3):064x}"

# %% Python's own hash, long enough answer="wrong" expect="a time or random number"
def fingerprint(rows, code, params, environment):
    return f"{hash(json.dumps([rows.to_csv(), code, params, environment], sort_keys=True)) % 2**256:064x}"

# %% Python's own hash, hashed again answer="wrong" expect="a time or random number"
def fingerprint(rows, code, params, environment):
    own = hash(json.dumps([rows.to_csv(), code, params, environment], sort_keys=True))
    return hashlib.sha256(str(own).encode()).hexdigest()

# %% Python's own hash, dressed up as hexadecimal answer="wrong" expect="not 64 hexadecimal digits"
def fingerprint(rows, code, params, environment):
    return f"{abs(hash((rows.to_csv(), code, str(params), str(environment)))):x}"

# %% the time is part of it answer="wrong" expect="a time or random number"
def fingerprint(rows, code, params, environment):
    import time

    text = f"{time.perf_counter_ns()}{rows.to_csv()}{code}{sorted(params.items())}{sorted(environment.items())}"
    return hashlib.sha256(text.encode()).hexdigest()

# %% the order of keys matters answer="wrong" expect="the order of the keys changed the id"
def fingerprint(rows, code, params, environment):
    return hashlib.sha256(f"{rows.to_csv()}|{code}|{params}|{environment}".encode()).hexdigest()

# %% forgets the environment answer="wrong" expect="the version of a library changed, and the id did not"
def fingerprint(rows, code, params, environment):
    parts = [rows.to_csv(), code, sorted(params.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

# %% hashes what the frame prints answer="wrong" expect="str(frame) shows only the first and last rows"
def fingerprint(rows, code, params, environment):
    parts = {"rows": str(rows), "code": code, "params": params, "environment": environment}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

# %% merges the two dicts answer="wrong" expect="one overwrote the other"
def fingerprint(rows, code, params, environment):
    parts = {"rows": rows.to_csv(), "code": code} | params | environment
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

# %% the course's own library answer="right"
def fingerprint(rows, code, params, environment):
    return tracking.fingerprint(data=tracking.data_digest(rows), code=code, params=params, environment=environment)

# %% one hash fed part by part answer="right"
def fingerprint(rows, code, params, environment):
    digest = hashlib.sha256()
    parts = [rows.to_json(orient="split"), code, repr(sorted(params.items())), repr(sorted(environment.items()))]
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()
