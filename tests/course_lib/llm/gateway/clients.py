"""The providers' own clients behind one small interface, so that one test tries them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODEL = "smollm2-135m"


@dataclass
class Asked:
    """What every test asks of a client."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: str
    pieces: int = 1


class OpenAIClient:
    length, stop = "length", "stop"

    def __init__(self, url):
        import openai

        self.client: Any = openai.OpenAI(base_url=f"{url}/v1", api_key="dummy", max_retries=0, timeout=30)

    def _send(self, prompt, *, model=MODEL, limit=None, stream=False, **options):
        messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": prompt}]
        if stream:
            options["stream_options"] = {"include_usage": True}
        return self.client.chat.completions.create(
            model=model, messages=messages, max_completion_tokens=limit, stream=stream, **options
        )

    def ask(self, prompt, **options):
        answer = self._send(prompt, **options)
        (choice,), usage = answer.choices, answer.usage
        return Asked(choice.message.content, usage.prompt_tokens, usage.completion_tokens, choice.finish_reason)

    def open(self, prompt, **options):
        return self._send(prompt, stream=True, **options)

    def pieces(self, stream):
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    def leave(self, stream):
        stream.close()

    def stream(self, prompt, **options):
        text, usage, finish, pieces = "", None, "", 0
        for chunk in self.open(prompt, **options):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                pieces += bool(choice.delta.content)
                finish = choice.finish_reason or finish
        return Asked(text, usage.prompt_tokens, usage.completion_tokens, finish, pieces)

    def failure(self, error):
        return type(error).__name__, getattr(error, "status_code", None), getattr(error, "code", None)

    def close(self):
        self.client.close()


class AzureClient(OpenAIClient):
    def __init__(self, url):
        import openai

        self.client = openai.AzureOpenAI(
            azure_endpoint=url, api_key="dummy", api_version="2024-10-21", max_retries=0, timeout=30
        )


class BedrockClient:
    length, stop = "max_tokens", "end_turn"

    def __init__(self, url):
        import boto3
        from botocore.config import Config

        # boto3 would refuse some bad input by itself, and ask a second and third time after an error.
        config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=30)
        self.client: Any = boto3.session.Session(
            aws_access_key_id="dummy", aws_secret_access_key="dummy", region_name="us-east-1"
        ).client("bedrock-runtime", endpoint_url=url, config=config)

    def _arguments(self, prompt, *, model=MODEL, limit=None, temperature=None):
        inference = {} if limit is None else {"maxTokens": limit}
        if temperature is not None:
            inference["temperature"] = temperature
        return {
            "modelId": model,
            "system": [{"text": "Be short."}],
            "messages": [{"role": "user", "content": [{"text": prompt}]}],
            "inferenceConfig": inference,
        }

    def ask(self, prompt, **options):
        answer = self.client.converse(**self._arguments(prompt, **options))
        (block,), usage = answer["output"]["message"]["content"], answer["usage"]
        return Asked(block["text"], usage["inputTokens"], usage["outputTokens"], answer["stopReason"])

    def open(self, prompt, **options):
        return self.client.converse_stream(**self._arguments(prompt, **options))["stream"]

    def pieces(self, stream):
        for event in stream:
            if "contentBlockDelta" in event:
                yield event["contentBlockDelta"]["delta"]["text"]

    def leave(self, stream):
        stream.close()

    def stream(self, prompt, **options):
        events = list(self.open(prompt, **options))
        texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
        (reason,) = [event["messageStop"]["stopReason"] for event in events if "messageStop" in event]
        usage = events[-1]["metadata"]["usage"]
        return Asked("".join(texts), usage["inputTokens"], usage["outputTokens"], reason, len(texts))

    def failure(self, error):
        response = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return type(error).__name__, status, response["Error"]["Code"]

    def close(self):
        self.client.close()


class GeminiClient:
    length, stop = "MAX_TOKENS", "STOP"

    def __init__(self, url):
        from google import genai
        from google.genai import types

        self.types = types
        self.client: Any = genai.Client(
            vertexai=False, api_key="dummy", http_options=types.HttpOptions(base_url=url, timeout=30_000)
        )

    def _arguments(self, prompt, *, model=MODEL, limit=None, **options):
        config = self.types.GenerateContentConfig(system_instruction="Be short.", max_output_tokens=limit, **options)
        return {"model": model, "contents": prompt, "config": config}

    def ask(self, prompt, **options):
        answer = self.client.models.generate_content(**self._arguments(prompt, **options))
        usage = answer.usage_metadata
        finish = answer.candidates[0].finish_reason.value
        return Asked(answer.text, usage.prompt_token_count, usage.candidates_token_count, finish)

    def open(self, prompt, **options):
        return self.client.models.generate_content_stream(**self._arguments(prompt, **options))

    def pieces(self, stream):
        for chunk in stream:
            if chunk.text:
                yield chunk.text

    def leave(self, stream):
        stream.close()

    def stream(self, prompt, **options):
        chunks = list(self.open(prompt, **options))
        texts = [chunk.text for chunk in chunks if chunk.text]
        usage, finish = chunks[-1].usage_metadata, chunks[-1].candidates[0].finish_reason.value
        return Asked("".join(texts), usage.prompt_token_count, usage.candidates_token_count, finish, len(texts))

    def failure(self, error):
        return type(error).__name__, error.code, error.status

    def close(self):
        self.client.close()


class VertexClient(GeminiClient):
    def __init__(self, url):
        from google import genai
        from google.genai import types
        from google.oauth2.credentials import Credentials

        self.types = types
        self.client = genai.Client(
            vertexai=True,
            project="desk",
            location="europe-west1",
            credentials=Credentials(token="dummy"),
            http_options=types.HttpOptions(base_url=url, timeout=30_000),
        )


class OllamaClient:
    length, stop = "length", "stop"

    def __init__(self, url):
        import ollama

        self.client: Any = ollama.Client(host=url, timeout=30)

    def _send(self, prompt, *, model=MODEL, limit=None, stream=False, **options):
        messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": prompt}]
        if limit is not None:
            options["num_predict"] = limit
        return self.client.chat(model, messages, stream=stream, options=options)

    def ask(self, prompt, **options):
        answer = self._send(prompt, **options)
        return Asked(answer.message.content, answer.prompt_eval_count, answer.eval_count, answer.done_reason)

    def open(self, prompt, **options):
        return self._send(prompt, stream=True, **options)

    def pieces(self, stream):
        for part in stream:
            if part.message.content:
                yield part.message.content

    def leave(self, stream):
        stream.close()

    def stream(self, prompt, **options):
        parts = list(self.open(prompt, **options))
        texts = [part.message.content for part in parts if part.message.content]
        end = parts[-1]
        return Asked("".join(texts), end.prompt_eval_count, end.eval_count, end.done_reason, len(texts))

    def failure(self, error):
        return type(error).__name__, error.status_code, None

    def close(self):
        self.client.close()


CLIENTS = {
    "openai": OpenAIClient,
    "azure": AzureClient,
    "bedrock": BedrockClient,
    "gemini": GeminiClient,
    "vertex": VertexClient,
    "ollama": OllamaClient,
}
