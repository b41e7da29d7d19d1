"""Own courses: nbgrader's sources and releases of an instructor, read as nbgrader reads them.

``folder`` finds the notebooks → ``notebook`` reads one → ``steps`` makes release and hidden tests of it, as nbgrader's
``generate_assignment`` does → ``spec`` says what it asks; ``catalogue`` brings them together. ``helpers`` takes along
what lies beside a notebook, and ``look`` reads which checks cannot be judged from outside of the learner's process.

May import: ``authoring``, ``model``, ``sandbox.names``.
No hostile bytes: it reads the instructor's own files only, and runs a solution where tests are made from it.
"""
