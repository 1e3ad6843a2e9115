"""The objects that a user receives: enums, updates, events and gaps.

They are frozen, and independent of the wire.
"""
