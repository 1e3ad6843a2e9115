"""The rules of one login, pure: frames and moments in, requests and events out."""
