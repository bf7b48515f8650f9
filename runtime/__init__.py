"""What every service has around its work. Knows neither a service nor a message.

Modules are imported one by one: only who talks to PostgreSQL needs asyncpg.
"""
