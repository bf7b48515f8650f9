"""The whole helpdesk on one machine without containers; see README.md."""
