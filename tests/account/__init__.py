"""The account view: its rules by hand, and the whole of it against the simulated exchange."""
