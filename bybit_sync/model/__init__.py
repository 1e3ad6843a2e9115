"""The objects that a user receives: enums, updates, events and gaps. Frozen, and independent of the wire."""
