"""Figures of the running helpdesk, each beside what its parts can do at best in the same run.

Only for a throwaway stack (`make bench`): it fills the database. Asserts nothing about time.
"""
