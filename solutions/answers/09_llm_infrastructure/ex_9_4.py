# %% takes every piece for an event answer="wrong" expect="a piece may hold several events"
def read_events(pieces):
    found = []
    for piece in pieces:
        text = piece.decode().strip()
        if text == "data: [DONE]":
            return found
        found.append(json.loads(text.removeprefix("data: ")))
    raise ValueError("broke off")


# %% counts its calls answer="wrong" expect="the list of events after a comment"
def read_events(pieces, calls=[]):
    calls.append(1)
    if len(calls) == 6:
        raise ValueError("the stream broke off")
    return [{"n": 1}, {"n": 2}] if len(calls) <= 4 else [{}] if len(calls) == 5 else [{"n": 1}]


# %% forgets what was cut answer="wrong" expect="keep the unfinished rest for the next piece"
def read_events(pieces):
    found = []
    for piece in pieces:
        for event in piece.decode().split("\n\n"):
            data = event.removeprefix("data:").strip()
            if data == "[DONE]":
                return found
            if data and not data.startswith(":"):
                found.append(json.loads(data))
    raise ValueError("broke off")


# %% reads [DONE] as JSON answer="wrong" expect="[DONE] is no JSON"
def read_events(pieces):
    text = b"".join(pieces).decode()
    return [json.loads(event.removeprefix("data:")) for event in text.split("\n\n") if event.startswith("data:")]


# %% takes a broken stream for a complete one answer="wrong" expect="broke off before [DONE] returned"
def read_events(pieces):
    found = []
    for event in b"".join(pieces).decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
        if data == "[DONE]":
            break
        if data:
            found.append(json.loads(data))
    return found


# %% decodes pieces that end inside a letter answer="wrong" expect="a letter or a line ending was cut"
def read_events(pieces):
    found, buffer = [], ""
    for piece in pieces:
        buffer += piece.decode().replace("\r\n", "\n")
        while "\n\n" in buffer:
            event, buffer = buffer.split("\n\n", 1)
            data = "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
            if data == "[DONE]":
                return found
            if data:
                found.append(json.loads(data))
    raise ValueError("broke off")


# %% all at once, then line by line answer="right"
def read_events(pieces):
    found, data = [], []
    for line in b"".join(pieces).decode().replace("\r\n", "\n").split("\n"):
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line == "" and data:
            if data == ["[DONE]"]:
                return found
            found.append(json.loads("\n".join(data)))
            data = []
    raise ValueError("the stream broke off")


# %% the course's decoder answer="right"
def read_events(pieces):
    try:
        return list(llm.sse.payloads(pieces))
    except CourseError as error:
        raise ValueError(str(error)) from error
