"""How threads wait for each other: below everything else, and without knowing what for."""
