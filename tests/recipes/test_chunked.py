import pytest

from catalog.models import Family, Product
from jobs import by_pk
from jobs.testing import run_now

pytestmark = pytest.mark.django_db


def test_by_pk_goes_through_all_rows_from_behind_any_of_them():
    made = [Product.objects.create(sku=str(n)).pk for n in range(5)]
    for page in (1, 2, 5, 9):
        assert [pk for pk, _ in by_pk(Product.objects.all(), page=page)] == made
        assert [pk for pk, _ in by_pk(Product.objects.all(), made[2], page=page)] == made[3:]


def test_a_chunked_job_writes_what_process_returns():
    for sku, name in (("a", "  two   spaces "), ("b", "tidy")):
        Product.objects.create(sku=sku, name=name)
    done = run_now("catalog.tidy_names")
    assert (done.status, done.error) == ("completed", "")
    (step,) = done.steps.all()
    assert (step.done, step.unchanged) == (1, 1)
    assert set(Product.objects.values_list("name", flat=True)) == {"two spaces", "tidy"}


def test_a_function_job_returns_its_result():
    family = Family.objects.create(code="shoes")
    Product.objects.create(sku="a", family=family)
    Product.objects.create(sku="b", family=family, enabled=False)
    done = run_now("catalog.count_by_family")
    assert (done.status, done.result) == ("completed", {"shoes": 1})
