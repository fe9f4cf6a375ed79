"""The one signal of the platform."""

from django.dispatch import Signal

# Sent after the commit of every change of status, with `change`: the StatusChange row.
status_changed = Signal()
