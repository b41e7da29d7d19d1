# %% deletes in a later step answer="wrong" expect="rm hides files of the layer below"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
RUN rm -rf data notebooks .git
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": ''}

# %% a pattern that counts at the root only answer="wrong" expect="a pattern without a slash is for the root"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": '*.csv\n*.ipynb\n.git\n'}

# %% keeps the compiler answer="wrong" expect="build tools in the image"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
RUN apt-get purge -y build-essential
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": 'data\nnotebooks\n.git\n'}

# %% keeps pip's cache answer="wrong" expect="pip's cache stays in the layer"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": 'data\nnotebooks\n.git\n'}

# %% keeps the large base answer="wrong" expect="the base image alone"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": 'data\nnotebooks\n.git\n'}

# %% ignores the model too answer="wrong" expect=".dockerignore keeps it out"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": 'data\nnotebooks\n.git\nbundle\n'}

# %% installs nothing answer="wrong" expect="no longer in the image"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": 'data\nnotebooks\n.git\n'}

# %% two stages answer="right"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim AS build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH
COPY main.py .
COPY bundle bundle
COPY course_lib course_lib
USER 10001
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": ''}

# %% an allow list answer="right"
def slim_image() -> dict[str, str]:
    text = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
    return {"Dockerfile": text, ".dockerignore": '*\n!requirements.txt\n!main.py\n!bundle\n!course_lib\n'}
