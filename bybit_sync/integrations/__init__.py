"""Connect the streams to other software; nothing in the library imports these."""
