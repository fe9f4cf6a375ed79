from tests.people import execution, person, profile, two_jobs  # noqa: F401 - fixtures
