"""The database's versions, each plain SQL; run by `python -m ticket_svc migrate` only."""
