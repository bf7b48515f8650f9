"""Answers the three reports from rollups that it keeps by listening to ticket events.

Owns the schema `analytics` and nothing else; never reads the ticket database.
"""
