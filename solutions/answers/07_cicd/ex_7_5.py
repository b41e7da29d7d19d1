# %% takes cron for New York time answer="wrong" expect="cron is in UTC"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 6 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% at the full hour answer="wrong" expect="at minute 0"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "0 10 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% every day answer="wrong" expect="once a week, on Monday"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * *"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% right in winter only answer="wrong" expect="cron is in UTC"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 12 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% cancels a running one answer="wrong" expect="cancelled half-way"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: true
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% promotes whatever the gate says answer="wrong" expect="even if the gate refused"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - if: always()
        run: python promote.py
"""


# %% cannot be started by hand answer="wrong" expect="add workflow_dispatch"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * 1"
permissions:
  contents: read
concurrency:
  group: retrain
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% names and day names answer="right"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "37 10 * * MON"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: ${{{{ github.workflow }}}}
  cancel-in-progress: false
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - name: Train
        run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""


# %% concurrency in short answer="right"
def retrain_workflow():
    """Return the text of the workflow that retrains every week."""
    return f"""name: retrain
on:
  schedule:
    - cron: "23 10 * * 1"
  workflow_dispatch:
permissions:
  contents: read
concurrency: retrain
jobs:
  retrain:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
      - run: python retrain.py
      - run: python -m course_lib.delivery.gate champion.json challenger.json
      - run: python promote.py
"""
