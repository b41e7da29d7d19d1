# %% remembers sizes answer="wrong" expect="digest every byte"
def make_manifest(contents):
    return {name: f"{len(body):064x}" for name, body in contents.items() if name != "manifest.json"}


def compare(contents, manifest):
    now = make_manifest(contents)
    names = now.keys() | manifest.keys()
    state = {n: "added" if n not in manifest else "missing" if n not in now else "changed" for n in names}
    return sorted(f"{state[n]} {n}" for n in names if now.get(n) != manifest.get(n))


# %% digests the first block only answer="wrong" expect="digest every byte"
import hashlib


def make_manifest(contents):
    return {name: hashlib.sha256(body[:1024]).hexdigest() for name, body in contents.items() if name != "manifest.json"}


def compare(contents, manifest):
    now = make_manifest(contents)
    names = now.keys() | manifest.keys()
    state = {n: "added" if n not in manifest else "missing" if n not in now else "changed" for n in names}
    return sorted(f"{state[n]} {n}" for n in names if now.get(n) != manifest.get(n))


# %% looks only at what was signed answer="wrong" expect="a file that nobody signed is how foreign code gets in"
import hashlib


def make_manifest(contents):
    return {name: hashlib.sha256(body).hexdigest() for name, body in contents.items() if name != "manifest.json"}


def compare(contents, manifest):
    now = make_manifest(contents)
    found = [f"missing {name}" for name in manifest if name not in now]
    return sorted(found + [f"changed {name}" for name in manifest if name in now and now[name] != manifest[name]])


# %% looks only at what is there answer="wrong" expect="go through the manifest too"
import hashlib


def make_manifest(contents):
    return {name: hashlib.sha256(body).hexdigest() for name, body in contents.items() if name != "manifest.json"}


def compare(contents, manifest):
    found = []
    for name, digest in make_manifest(contents).items():
        if name not in manifest:
            found.append(f"added {name}")
        elif digest != manifest[name]:
            found.append(f"changed {name}")
    return sorted(found)


# %% reads the files as text answer="wrong" expect="digest the bytes, not the text"
import hashlib


def make_manifest(contents):
    def text(body):
        return body.decode("utf-8", errors="replace").replace("\r\n", "\n")

    return {n: hashlib.sha256(text(b).encode()).hexdigest() for n, b in contents.items() if n != "manifest.json"}


def compare(contents, manifest):
    now = make_manifest(contents)
    names = now.keys() | manifest.keys()
    state = {n: "added" if n not in manifest else "missing" if n not in now else "changed" for n in names}
    return sorted(f"{state[n]} {n}" for n in names if now.get(n) != manifest.get(n))


# %% lists the manifest itself answer="wrong" expect="the manifest lists itself"
import hashlib


def make_manifest(contents):
    return {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}


def compare(contents, manifest):
    now = make_manifest(contents)
    names = now.keys() | manifest.keys()
    state = {n: "added" if n not in manifest else "missing" if n not in now else "changed" for n in names}
    return sorted(f"{state[n]} {n}" for n in names if now.get(n) != manifest.get(n))


# %% one pass over all names answer="right"
import hashlib


def make_manifest(contents):
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents) if name != "manifest.json"}


def compare(contents, manifest):
    now = make_manifest(contents)
    names = now.keys() | manifest.keys()
    state = {n: "added" if n not in manifest else "missing" if n not in now else "changed" for n in names}
    return sorted(f"{state[n]} {n}" for n in names if now.get(n) != manifest.get(n))


# %% feeds the digest in blocks answer="right"
import hashlib


def make_manifest(contents):
    made = {}
    for name, body in contents.items():
        if name == "manifest.json":
            continue
        digest = hashlib.new("sha256")
        for start in range(0, len(body), 4096):
            digest.update(body[start : start + 4096])
        made[name] = digest.hexdigest()
    return made


def compare(contents, manifest):
    found, now = [], make_manifest(contents)
    for name in sorted(set(now) | set(manifest)):
        if name not in manifest:
            found.append("added " + name)
        elif name not in now:
            found.append("missing " + name)
        elif now[name] != manifest[name]:
            found.append("changed " + name)
    return sorted(found)
