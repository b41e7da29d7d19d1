"""The interview questions as pages, each with the exercise or project that proves its answer."""

from __future__ import annotations

from collections.abc import Sequence

from site_pages import notebook_link

from course_lib import interview

__all__ = ["interview_pages"]


def interview_pages(questions: Sequence[interview.Question], notebooks: Sequence[str]) -> dict[str, str]:
    """Return the text of ``interview/index.md`` and one page a topic, by path."""
    topics = dict.fromkeys((q.notebook, q.topic) for q in questions)
    pages = {f"interview/{number}.md": _topic_page(number, topic, questions, notebooks) for number, topic in topics}
    rows = []
    for number, topic in topics:
        count = sum(q.notebook == number for q in questions)
        rows.append(f"| [{topic}]({number}.md) | {int(number)} | {count} |")
    core = [f"- [{q.text}](#q-{q.id})" for q in questions if q.core]
    pages["interview/index.md"] = "\n".join(
        [
            "# Interview questions",
            "",
            f"{len(questions)} questions that employers ask, on {len(topics)} topics. Say your answer aloud, or",
            "write it down, before you unfold what a good one holds. Each question links to what proves it in code.",
            "To practise in a terminal, with a memory of what you practised: `python -m course_lib.interview`.",
            "",
            "## The five that the course is built around",
            "",
            *core,
            "",
            "## By topic",
            "",
            "| topic | notebook | questions |",
            "|---|---|---|",
            *rows,
            "",
            "```{toctree}",
            ":hidden:",
            *(number for number, _ in topics),
            "```",
            "",
        ]
    )
    return pages


def _topic_page(number: str, topic: str, questions: Sequence[interview.Question], notebooks: Sequence[str]) -> str:
    lines = [f"# {topic}", "", f"Taught in notebook {notebook_link(number, notebooks)}.".replace("](", "](../"), ""]
    for question in questions:
        if question.notebook == number:
            lines += _question(question, notebooks)
    return "\n".join(lines)


def _question(question: interview.Question, notebooks: Sequence[str]) -> list[str]:
    taught = {name[:2] for name in notebooks}
    proofs = [
        f"[{proof.label}](#{proof.id})" if proof.notebook in taught else f"{proof.label} (`{proof.command}`)"
        for proof in map(interview.resolve, question.proof)
    ]
    return [
        f"(q-{question.id})=",
        f"## {question.text}",
        "",
        f"<details><summary>What a good answer holds ({question.total} points)</summary>",
        "",
        *(f"- {point.says} *({point.weight})*" for point in question.points),
        "",
        "**Often heard, and weak**",
        "",
        *(f"- {line}" for line in question.weak),
        "",
        "**They may ask next**",
        "",
        *(f"- {line}" for line in question.follow_ups),
        "",
        "</details>",
        "",
        f"Proved in code by {', '.join(proofs)}.",
        "",
    ]
