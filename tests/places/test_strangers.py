"""An import says at its launch that a file is none it could read."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from jobs import control
from jobs.models import JobExecution


def launch(content: bytes, name: str, **parameters: str) -> JobExecution:
    upload = control.upload(ContentFile(content, name=name), user=None)
    return control.launch(
        job="catalog.product.import", parameters={"file": str(upload.pk), **parameters}
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"%PDF-1.7 ...", "products.csv", "a PDF document"),
        (b"\x89PNG\r\n", "products.xlsx", "a picture"),
        (b"PAR2 no", "products.parquet", "ends in .parquet, but its content is something else"),
    ],
)
def test_a_file_that_no_format_understands_is_refused(content, name, said):
    with pytest.raises(control.InvalidParameters, match=said) as refused:
        launch(content, name)
    assert set(refused.value.errors) == {"file"}
    assert not JobExecution.objects.exists()


@pytest.mark.django_db
def test_a_table_is_taken_under_any_name():
    assert launch(b"sku;name\na;b\n", "products.dat").pk
