import os

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    """In a process whose environment names a mutant, the product loses one promise."""

    name = "tests.faults.sample"
    label = "faults"

    def ready(self) -> None:
        if mutant := os.environ.get("TEST_MUTANT"):
            from tests.faults.sample import mutants

            getattr(mutants, mutant)()
