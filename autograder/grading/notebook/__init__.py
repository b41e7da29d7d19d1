"""Notebooks of strangers, made gradable: ``shape`` cuts their bytes, ``read`` reads them, ``repair`` mends the rest.

``which`` says of which notebook of the course a file is, ``beside`` what is taken along with it.

May import: ``authoring``, ``grading.identity``, ``text``.
Hostile bytes come by, as data: they are measured before they are parsed, and nothing here executes them.
"""
