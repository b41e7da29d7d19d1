"""Gradebook parts: its file, what stands in it, the settings that hold in it, and what a changed release does to it.

Imports nbgrader's tables and the options of ``grade``. Learners' text comes by as values only; nothing here opens it.
"""
