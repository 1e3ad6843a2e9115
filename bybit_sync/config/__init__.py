"""The configuration of a client: environments, times, and checks of arguments."""
