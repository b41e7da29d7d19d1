"""Load-test a server with Locust and report: `python -m llmserve.load --url URL --out FILE`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

USERS = (1, 2, 4)


def level(url: str, users: int) -> dict:
    """Run one level and return its row of the report."""
    with tempfile.TemporaryDirectory() as scratch:
        seen = Path(scratch) / "seen.json"
        command = ["locust", "--headless", "--host", url, "--users", str(users), "--spawn-rate", str(users)]
        command += ["--run-time", "120s", "--only-summary", "--loglevel", "WARNING"]
        subprocess.run(command, env=os.environ | {"SEEN": str(seen)}, check=True, stdout=sys.stderr)
        answers = [(sent, times) for sent, times in json.loads(seen.read_text())]
    good = [(sent, times) for sent, times in answers if len(times) > 1]
    tokens = sum(len(times) for _, times in good)
    seconds = max(times[-1] for _, times in good) - min(sent for sent, _ in good)
    return {
        "users": users,
        "requests": len(answers),
        "failed": len(answers) - len(good),
        "tokens": tokens,
        "seconds": seconds,
        "ttft_ms": 1000 * median(times[0] - sent for sent, times in good),
        "tpot_ms": 1000 * median((times[-1] - times[0]) / (len(times) - 1) for _, times in good),
        "tokens_per_s": tokens / seconds,
    }


def main() -> None:
    """Run all levels and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [level(options.url, users) for users in USERS]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1))
    for row in rows:
        print(f"{row['users']} users: TTFT {row['ttft_ms']:.0f} ms, TPOT {row['tpot_ms']:.0f} ms, {row['tokens_per_s']:.0f} tokens/s")


if __name__ == "__main__":
    main()
