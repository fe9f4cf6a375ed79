import pytest

from catalog.models import Attribute, AttributeOption, Category, Family
from jobs.definition import Pace
from jobs.engine import staged


@pytest.fixture
def families(db):
    """Two families and two categories that products may name."""
    for code in ("shoes", "Hats"):
        Family.objects.create(code=code)
        Category.objects.create(code=code)


@pytest.fixture
def attributes(db):
    """Attributes of some types."""
    Attribute.objects.create(code="note", type="text", max_characters=40)
    Attribute.objects.create(code="pages", type="number", decimals_allowed=False)
    Attribute.objects.create(code="weight", type="metric")


@pytest.fixture
def choices(attributes):
    """Attributes whose values are chosen: from options, or yes or no."""
    for code, kind in (("color", "simpleselect"), ("tags", "multiselect")):
        attribute = Attribute.objects.create(code=code, type=kind)
        for option in ("red", "blue"):
            AttributeOption.objects.create(attribute=attribute, code=option)
    Attribute.objects.create(code="washable", type="boolean")


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of three rows."""
    monkeypatch.setattr(staged, "SMALLEST", 3)
    monkeypatch.setattr(staged, "LARGEST", 3)
    monkeypatch.setattr(staged, "Pace", lambda: Pace(3))
