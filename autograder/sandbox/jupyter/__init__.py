"""Kernel provisioners: warm and walled-in kernels for Jupyter, papermill, nbclient and nbval.

May import: everything in ``sandbox``. The kernel that runs behind them may be hostile.
"""
