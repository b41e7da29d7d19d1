"""Kernel provisioners: warm and confined kernels for Jupyter, papermill, nbclient and nbval.

May import: everything in ``sandbox`` and jupyter_client.
Hostile bytes: not read here. The confined kernel behind a provisioner may be hostile; its clients read what it sends.
"""
