"""Identity: an export of a class is recognised as a whole, and everybody in it is given a key that lasts.

``listing`` → ``recognise``, by the tables of ``layouts`` → ``people``.

Hostile bytes: names of files and folders, which learners choose; they are compared, and never cleaned before that.
"""
