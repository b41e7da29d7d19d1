"""Manual grading, question by question: a page on this machine that shows one answer after another, the answer first.

May import: ``grading``, ``reports``, ``authoring``, ``text``.
Hostile bytes come by: answers are shown as text, in a page that has no script and forbids any.
"""
