"""The connection thread: what keeps a client connected, and what it does when it is not."""
