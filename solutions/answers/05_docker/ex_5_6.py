# %% copies and removes the file answer="wrong" expect="also if a later step deletes it"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY .env fetch.py main.py ./
RUN TOKEN_FILE=.env python fetch.py && rm .env
CMD ["python", "main.py"]
"""

# %% a build argument answer="wrong" expect="is kept in the image's history"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
ARG DESK_TOKEN
COPY fetch.py main.py ./
RUN echo $DESK_TOKEN > /tmp/t && TOKEN_FILE=/tmp/t python fetch.py && rm /tmp/t
CMD ["python", "main.py"]
"""

# %% mounts the secret and copies everything answer="wrong" expect="takes .env along"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY . .
RUN --mount=type=secret,id=desk_token python fetch.py
CMD ["python", "main.py"]
"""

# %% writes the mounted secret into the image answer="wrong" expect="is written to a file of the image"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY fetch.py main.py ./
RUN --mount=type=secret,id=desk_token cp /run/secrets/desk_token /app/token && TOKEN_FILE=/app/token python fetch.py
CMD ["python", "main.py"]
"""

# %% forgets the mount answer="wrong" expect="needs the token while it runs"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY fetch.py main.py ./
RUN python fetch.py
CMD ["python", "main.py"]
"""

# %% does not fetch answer="wrong" expect="the image has no weights"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY fetch.py main.py ./
CMD ["python", "main.py"]
"""

# %% mount with a target of its own answer="right"
def without_leak() -> str:
    return """\
FROM python:3.11-slim
WORKDIR /app
COPY fetch.py .
RUN --mount=type=secret,id=desk_token,target=/run/secrets/desk_token,required=true python fetch.py
COPY main.py .
USER 10001
CMD ["python", "main.py"]
"""

# %% fetches in a first stage answer="right"
def without_leak() -> str:
    return """\
FROM python:3.11-slim AS weights
WORKDIR /app
COPY fetch.py .
RUN --mount=type=secret,id=desk_token python fetch.py

FROM python:3.11-slim
WORKDIR /app
COPY --from=weights /app/weights.bin .
COPY main.py fetch.py ./
USER 10001
CMD ["python", "main.py"]
"""
