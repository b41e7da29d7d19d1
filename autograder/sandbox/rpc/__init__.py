"""Remote calls between judge and learner: framing, codec, proxies. Every byte from the learner's side is untrusted.

May import: ``sandbox.errors``. No pickle is read from the learner's side; what is not understood is refused.
"""
