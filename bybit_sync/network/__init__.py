"""From a URL to frames: names, addresses, proxy, TLS, and the websocket.

Nothing here knows what a frame means.
"""
