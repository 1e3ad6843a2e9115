"""The connection thread: it connects, recovers from failures and ends."""
