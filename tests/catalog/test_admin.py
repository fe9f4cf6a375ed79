import pytest

from catalog.models import Attribute, AttributeOption, Category, Family, Product


@pytest.mark.parametrize("model", [Attribute, AttributeOption, Category, Family, Product])
def test_the_catalogue_can_be_looked_at_in_the_admin(admin_client, model):
    attribute = Attribute.objects.create(code="color", type="simpleselect")
    AttributeOption.objects.create(attribute=attribute, code="or", labels={"en_US": "Gold"})
    Category.objects.create(code="top", labels={"en_US": "Top"})
    Family.objects.create(code="boots")
    Product.objects.create(sku="a-o", name="Boot")
    row = model.objects.get()
    base = f"/admin/catalog/{model._meta.model_name}/"
    assert str(row) in admin_client.get(base, {"q": "o"}).content.decode()
    assert admin_client.get(f"{base}{row.pk}/change/").status_code == 200
