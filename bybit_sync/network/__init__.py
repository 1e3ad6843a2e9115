"""From a URL to frames: names, addresses, proxy, TLS, and the websocket.

The meaning of frames is not known here.
"""
