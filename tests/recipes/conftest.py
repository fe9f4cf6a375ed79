import pytest

from catalog.models import Attribute, Category, Family


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
