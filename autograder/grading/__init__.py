"""A class to a gradebook: collect what was handed in, unpack, read, repair and score it, and record the points.

May import: ``authoring``, ``runners``, ``reports``, ``sandbox``. Hostile files come by here, as data: nothing in this
folder executes them.
"""
