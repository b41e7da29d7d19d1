"""Remote procedure calls between judge and learner's process: framing, channel, codec, proxies, references.

May import: ``sandbox.messages``; what sends library objects may import those libraries inside functions.
Hostile bytes: every one from the learner's side. None is unpickled, and what is not understood is refused.
"""
