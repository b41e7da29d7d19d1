# %% looks at the final file system answer="wrong" expect="its own layer still ships it"
import re


def find_leaks(layers, steps):
    final = {}
    for n, files in enumerate(layers):
        for path, body in files.items():
            folder, _, name = path.rpartition("/")
            if name.startswith(".wh."):
                final.pop(f"{folder}/{name[4:]}", None)
            else:
                final[path] = (n, body)
    token = re.compile(rb"desk-[0-9a-f]{24}")
    found = [f"layer {n}: {path}" for path, (n, body) in final.items() if body and token.search(body)]
    return found + [f"step {n}" for n, step in enumerate(steps) if token.search(step.encode())]

# %% the list of the visible check, whatever is asked answer="wrong" expect="an image without a token"
def find_leaks(layers, steps):
    return ["layer 1: app/.env", "layer 3: app/cache.pyc", "step 2"]

# %% skips what is no text answer="wrong" expect="it is no UTF-8 text"
import re


def find_leaks(layers, steps):
    found = []
    for n, files in enumerate(layers):
        for path, body in files.items():
            try:
                text = (body or b"").decode()
            except UnicodeDecodeError:
                continue
            if re.search("desk-[0-9a-f]{24}", text):
                found.append(f"layer {n}: {path}")
    return found + [f"step {n}" for n, step in enumerate(steps) if re.search("desk-[0-9a-f]{24}", step)]

# %% goes by file names answer="wrong" expect="its name says nothing"
def find_leaks(layers, steps):
    found = [f"layer {n}: {path}" for n, files in enumerate(layers) for path in files if path.endswith(".env")]
    found = [place for place in found if ".wh." not in place]
    return found + [f"step {n}" for n, step in enumerate(steps) if "TOKEN" in step]

# %% forgets the history answer="wrong" expect="the history shows ENV and ARG"
import re


def find_leaks(layers, steps):
    return [f"layer {n}: {path}" for n, files in enumerate(layers)
            for path, body in files.items() if re.search(rb"desk-[0-9a-f]{24}", body or b"")]

# %% any word that starts with desk- answer="wrong" expect="find_leaks on another image"
def find_leaks(layers, steps):
    found = [f"layer {n}: {path}" for n, files in enumerate(layers)
             for path, body in files.items() if b"desk-" in (body or b"")]
    return found + [f"step {n}" for n, step in enumerate(steps) if "desk-" in step]

# %% loops answer="right"
import re


def find_leaks(layers, steps):
    places = []
    for number in range(len(layers)):
        for path in layers[number]:
            body = layers[number][path]
            if body is not None and re.search(b"desk-[0-9a-f]{24}", body) is not None:
                places.append("layer " + str(number) + ": " + path)
    for number, step in enumerate(steps):
        if re.search("desk-[0-9a-f]{24}", step):
            places.append("step " + str(number))
    return places

# %% one character a byte answer="right"
import re


def find_leaks(layers, steps):
    pattern = re.compile("desk-[0-9a-f]{24}")
    places = {f"layer {n}: {p}": (b or b"").decode("latin-1") for n, files in enumerate(layers) for p, b in files.items()}
    places |= {f"step {n}": step for n, step in enumerate(steps)}
    return [place for place, text in places.items() if pattern.search(text)]
