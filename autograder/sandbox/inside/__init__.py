"""Processes behind the wall: forkserver, judge and learner's process, with what they need to run cells.

May import: ``sandbox.rpc``, ``sandbox.isolation`` and ``sandbox.messages``; never a module that knows a solution.
Hostile bytes: the learner's process is hostile code's own; the judge gets values from it through ``sandbox.rpc`` only.
"""
