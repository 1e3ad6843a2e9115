"""The server: connections, requests and answers."""
