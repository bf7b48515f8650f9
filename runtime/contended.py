"""What is raised where too many change one thing at once, by HTTP and SQL alike: a leaf."""


class Contended(Exception):
    """Others are changing the same for longer than a caller waits; in a moment it can be had."""
