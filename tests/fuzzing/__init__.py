"""A fuzzer guided by coverage, for what takes bytes from a peer and needs no socket: ``python -m tests.fuzzing decoding``."""
