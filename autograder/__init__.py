"""The course's autograder: from sources to learner notebooks, and from submissions to grades."""
