"""Ready-made jobs: import, export, and chunks of one's own. They know no tables of the platform."""
