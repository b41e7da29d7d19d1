"""One protocol, several ways to execute a notebook: the sandbox, papermill, a plain kernel; and pools of workers.

May import: ``authoring``, ``sandbox``, ``text``.
Hostile bytes come by: ``sandbox`` executes them behind walls; papermill and the plain kernel run what one trusts.
"""
