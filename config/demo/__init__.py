"""The demonstration: people, a catalogue imported through the platform, and what is shown."""
