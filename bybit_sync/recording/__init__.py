"""Recordings of every frame of a client, and their replay."""
