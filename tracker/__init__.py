"""The pages: dashboard, Process Tracker, executions, profiles."""
