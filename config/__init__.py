"""The site that runs Millrace: settings, addresses and the commands that start it."""
