from hypothesis import settings

# How long an example takes depends on the machine; what must end is bounded in the tests.
settings.register_profile("formats", deadline=None)
settings.load_profile("formats")
