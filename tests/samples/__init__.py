"""An app of jobs that misbehave on purpose, for the tests of the engine."""
