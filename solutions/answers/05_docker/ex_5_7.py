# %% the short form of depends_on answer="wrong" expect="says nothing about whether it answers"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    volumes: ["mlflow:/data"]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: [mlflow]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: [api]
volumes: {mlflow: {}}
"""

# %% healthy without a health check answer="wrong" expect="it would wait for ever"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    volumes: ["mlflow:/data"]
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: {mlflow: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% localhost in a container answer="wrong" expect="points into its own container"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    volumes: ["mlflow:/data"]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://localhost:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: {mlflow: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% health check with curl answer="wrong" expect="slim images do not have"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    volumes: ["mlflow:/data"]
    healthcheck: {test: ["CMD", "curl", "-f", "http://127.0.0.1:5000/health"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: {mlflow: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% publishes to everybody answer="wrong" expect="on every network card"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["5000:5000"]
    volumes: ["mlflow:/data"]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["8000:8000"]
    depends_on: {mlflow: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% no wait at all answer="wrong" expect="which answers from 8 s on"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    volumes: ["mlflow:/data"]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: {}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% data inside the container answer="wrong" expect="is gone with it"
def compose_file() -> str:
    return """\
services:
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    command: mlflow server --host 0.0.0.0 --backend-store-uri sqlite:////data/mlflow.db
    ports: ["127.0.0.1:5000:5000"]
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"], interval: 1s, retries: 90}
  api:
    image: desk-api:yours
    environment: {MLFLOW_TRACKING_URI: "http://mlflow:5000"}
    ports: ["127.0.0.1:8000:8000"]
    depends_on: {mlflow: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"], interval: 1s, retries: 30}
  prometheus:
    image: prom/prometheus:v2.42.0
    ports: ["127.0.0.1:9090:9090"]
    depends_on: {api: {condition: service_healthy}}
volumes: {mlflow: {}}
"""

# %% written as data answer="right"
def compose_file() -> str:
    import json

    def probe(port):
        call = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/health')"
        return {"test": ["CMD", "python", "-c", call], "interval": "1s", "retries": 60}

    def healthy(name):
        return {name: {"condition": "service_healthy"}}

    services = {
        "mlflow": {"image": "ghcr.io/mlflow/mlflow:v3.17.2", "ports": ["127.0.0.1:5000:5000"],
                   "volumes": ["runs:/data"], "healthcheck": probe(5000)},
        "api": {"image": "desk-api:yours", "ports": ["127.0.0.1:8000:8000"], "healthcheck": probe(8000),
                "environment": ["MLFLOW_TRACKING_URI=http://mlflow:5000"], "depends_on": healthy("mlflow")},
        "prometheus": {"image": "prom/prometheus:v2.42.0", "ports": ["127.0.0.1:9090:9090"], "depends_on": healthy("api")},
    }
    return json.dumps({"services": services, "volumes": {"runs": None}})

# %% block style, ports in the long form answer="right"
def compose_file() -> str:
    return """\
services:
  prometheus:
    image: prom/prometheus:v2.42.0
    depends_on:
      api:
        condition: service_healthy
    ports:
      - {target: 9090, published: 9090, host_ip: 127.0.0.1}
  api:
    image: desk-api:yours
    depends_on:
      mlflow:
        condition: service_healthy
    environment:
      MLFLOW_TRACKING_URI: http://mlflow:5000
    ports:
      - {target: 8000, published: 8000, host_ip: 127.0.0.1}
    healthcheck:
      test: python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"
  mlflow:
    image: ghcr.io/mlflow/mlflow:v3.17.2
    ports:
      - {target: 5000, published: 5000, host_ip: 127.0.0.1}
    volumes:
      - database:/data
    healthcheck:
      test: python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health')"
volumes:
  database:
"""
