# %% no permissions answer="wrong" expect="without the line the token may do"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% the gate does not wait answer="wrong" expect="jobs run side by side"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n" + begin + judge + keep


# %% actions by tag answer="wrong" expect="a tag can be moved"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v7
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% hangs for hours answer="wrong" expect="default limit is six hours"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% the report is lost when it is needed answer="wrong" expect="the report is lost"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% always green answer="wrong" expect="throws the exit code away"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
        with:
          persist-credentials: false
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json || true\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% leaves the token on disk answer="wrong" expect="leaves the token on disk"
def workflow():
    """Return the text of the desk's workflow."""
    head = "name: ci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n"
    begin = f"""    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: {PINS["checkout"]}
      - uses: {PINS["python"]}
        with:
          python-version: "3.11"
"""
    tests = "  test:\n" + begin + "      - run: python -m pytest -q tests\n"
    judge = "      - run: python -m course_lib.delivery.gate champion.json challenger.json\n"
    keep = f"""      - uses: {PINS["upload"]}
        if: always()
        with:
          name: report
          path: challenger.json
"""
    return head + tests + "  gate:\n    needs: test\n" + begin + judge + keep


# %% one text answer="right"
def workflow():
    begin = """
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: CHECKOUT
        with: {persist-credentials: false}
      - uses: PYTHON"""
    text = """name: desk
on:
  push:
  pull_request:
permissions: {contents: read}
jobs:
  test:BEGIN
      - name: Test
        run: python -m pytest -q tests
  gate:
    needs: [test]BEGIN
      - name: Gate
        run: python -m course_lib.delivery.gate champion.json challenger.json
      - uses: UPLOAD
        if: ${{ !cancelled() }}
        with: {name: report, path: challenger.json}
"""
    text = text.replace("BEGIN", begin).replace("CHECKOUT", PINS["checkout"].split(" ")[0])
    return text.replace("PYTHON", PINS["python"].split(" ")[0]).replace("UPLOAD", PINS["upload"].split(" ")[0])


# %% dumped from a dict answer="right"
import yaml


def workflow():
    def uses(name, /, **inputs):
        return {"uses": PINS[name].split()[0], **({"with": inputs} if inputs else {})}

    def job(*steps, **more):
        begin = [uses("checkout", **{"persist-credentials": False}), uses("python")]
        return {"runs-on": "ubuntu-latest", "timeout-minutes": 5, "steps": [*begin, *steps], **more}

    upload = {**uses("upload", name="report", path="challenger.json"), "if": "always()"}
    gate = {"run": "python -m course_lib.delivery.gate champion.json challenger.json"}
    jobs = {"test": job({"run": "python -m pytest -q tests"}), "gate": job(gate, upload, needs="test")}
    return yaml.safe_dump({"name": "ci", "on": ["push", "pull_request"], "permissions": {"contents": "read"}, "jobs": jobs})
