"""What the parts promise each other: vocabulary, REST bodies, messages, queue names.

Imports nothing else of ours and does no I/O, so that every service can depend on it.
"""
