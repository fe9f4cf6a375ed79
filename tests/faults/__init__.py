"""Every fault that the design names, done to real servers and processes, and what came of it."""
