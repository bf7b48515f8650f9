"""Says which team has to act on a problem, and which words of the text decided.

Knows nothing of tickets and keeps no state: text in, `contracts.messages.Classification` out.
"""
