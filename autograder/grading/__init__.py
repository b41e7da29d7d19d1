"""Class grading: collect what was handed in, unpack, read, repair and score it, and record the points.

May import: ``reports``, ``runners``, ``authoring``, ``sandbox``, ``model``, ``text``.
Hostile bytes come by, as data: nothing in this folder executes them.
"""
