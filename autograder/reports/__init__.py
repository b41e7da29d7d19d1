"""Pages and tables made from results: feedback, class report, course report, evidence, the terminal.

May import: ``autograder.model`` and ``authoring``. Text of strangers comes by here and is escaped on its way out.
"""
