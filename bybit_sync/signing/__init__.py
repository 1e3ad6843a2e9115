"""API keys, and the two ways to sign with them: HMAC and RSA."""
