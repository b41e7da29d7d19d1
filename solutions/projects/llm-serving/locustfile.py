"""Users that read two streamed answers each and note when each token came."""

import json
import os
import time
from contextlib import closing

from locust import HttpUser, constant, events, task

ANSWERS, TOKENS = 2, 16
seen = []  # of each answer: when it was asked for, and when its tokens came


class Reader(HttpUser):
    """Asks, reads to the end, asks again, and leaves."""

    wait_time = constant(0)

    def on_start(self):
        """Count what this user reads."""
        self.read = 0

    @task
    def ask(self):
        """Stream one answer."""
        body = {
            "model": "smollm2",
            "messages": [{"role": "user", "content": "Tell me about the sea."}],
            "max_tokens": TOKENS,
            "temperature": 0,
            "stream": True,
        }
        sent, times = time.perf_counter(), []
        headers = {"Connection": "close"}
        with closing(self.client.post("/v1/chat/completions", json=body, stream=True, headers=headers)) as reply:
            for line in reply.iter_lines():
                if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                    times.append(time.perf_counter())
        seen.append((sent, times))
        self.read += 1
        if len(seen) == ANSWERS * self.environment.runner.target_user_count:
            self.environment.runner.quit()
        if self.read == ANSWERS:
            self.stop()


@events.quitting.add_listener
def write(**_):
    """Hand over what was seen."""
    with open(os.environ["SEEN"], "w") as file:
        json.dump(seen, file)
