"""Two years of plausible tickets for a helpdesk that runs, made through its REST interface.

Only the times are set behind it, once and in one transaction: the clock is the database's, and a
REST interface that took times would let anybody rewrite history.
"""
