"""The launcher: an environment, servers and processes on one machine, for development.

Only `manage.py` imports it. It runs before Django, on the standard library.
"""
