"""The exchange's end of a connection: who arrives, what is asked and answered."""
