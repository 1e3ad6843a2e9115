"""What a user receives: enums, updates, events and gaps. Frozen, and without any knowledge of the wire."""
