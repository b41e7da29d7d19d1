"""Offline doubles of a model: slow, or failing on purpose, so that overload and errors can be shown and tested."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course_lib.serving.model import Model

__all__ = ["BrokenModel", "FixedModel", "SlowModel", "open_model"]


@dataclass
class FixedModel:
    """Answers every flight with the same probability, and remembers the sizes of its batches."""

    probability: float = 0.25
    version: str = "double"
    run_id: str = "none"
    sha256: str = "0" * 64
    batches: list[int] = field(default_factory=list)

    def score(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Return the fixed probability for each row."""
        self.batches.append(len(rows))
        return [self.probability] * len(rows)


@dataclass
class SlowModel(FixedModel):
    """A model that computes for ``seconds`` per call, whatever the size of the batch."""

    seconds: float = 0.05

    def score(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Compute for a while, then answer."""
        time.sleep(self.seconds)
        return super().score(rows)


@dataclass
class BrokenModel(FixedModel):
    """A model that answers its warm-up and then fails, with a message that must not reach a caller."""

    message: str = "cannot read /srv/models/private.onnx with key s3cr3t"

    def score(self, rows: Sequence[tuple[Any, ...]]) -> list[float]:
        """Answer the first call and raise at every later one."""
        if self.batches:
            raise RuntimeError(self.message)
        return super().score(rows)


def open_model(source: str) -> Model:
    """Load the model at ``source``: a bundle's folder, or a double by name.

    Parameters
    ----------
    source
        Folder of a bundle; ``"broken"`` (fails on every flight); or ``"slow 0.5"`` (takes 0.5 s to load).

    Raises
    ------
    CourseError
        There is no bundle at ``source``.
    """
    from course_lib.serving.model import load_model

    if source == "broken":
        return load_model(BrokenModel)
    if source.startswith("slow "):
        time.sleep(float(source.removeprefix("slow ")))
        return FixedModel()
    return load_model(source)
