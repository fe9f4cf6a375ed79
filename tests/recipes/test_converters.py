"""From the text of a cell to a value, by the type of the model's field."""

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

from jobs.recipes import converters

GOOD = [
    (models.CharField(max_length=3), "äbc", "äbc"),
    (models.TextField(), " as it is ", " as it is "),
    (models.SlugField(), "a-b_1", "a-b_1"),
    (models.IntegerField(), " -12 ", -12),
    (models.PositiveSmallIntegerField(), "+7", 7),
    (models.DecimalField(max_digits=5, decimal_places=2), "123.45", Decimal("123.45")),
    (models.DecimalField(max_digits=5, decimal_places=2), "-0001.5000", Decimal("-1.5")),
    (models.DecimalField(max_digits=2, decimal_places=2), ".25", Decimal(".25")),
    (models.BooleanField(), "1", True),
    (models.BooleanField(), " Yes ", True),
    (models.BooleanField(), "FALSE", False),
    (models.DateField(), "2024-02-29", dt.date(2024, 2, 29)),
    (
        models.DateTimeField(),
        "2024-02-29T12:30:00+02:00",
        dt.datetime(2024, 2, 29, 10, 30, tzinfo=dt.UTC),
    ),
    (models.DateTimeField(), "2024-02-29 12:30", dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)),
    (models.JSONField(), '{"a": [1.50, null]}', {"a": [Decimal("1.50"), None]}),
    (models.CharField(choices=[("a", "A"), ("b", "B")]), "b", "b"),
    (models.IntegerField(choices=[(1, "One")]), "1", 1),
    (models.FloatField(), "1.5", 1.5),
    (models.DurationField(), "01:30:00", dt.timedelta(hours=1, minutes=30)),
    (models.GenericIPAddressField(), "::1", "::1"),
    (
        models.UUIDField(),
        "0190163d-8694-739b-aea5-966c26f8ad90",
        uuid.UUID("0190163d-8694-739b-aea5-966c26f8ad90"),
    ),
]

BAD = [
    (models.CharField(max_length=3), "abcd", "too_long"),
    (models.SlugField(), "not a slug", "invalid"),
    (models.EmailField(), "nobody", "invalid"),
    (models.IntegerField(), "1.5", "invalid_number"),
    (models.IntegerField(), "1_000", "invalid_number"),
    (models.IntegerField(), "١٢", "invalid_number"),
    (models.IntegerField(), "9" * 10, "invalid_number"),
    (models.PositiveIntegerField(), "-1", "invalid_number"),
    (models.IntegerField(validators=[MinValueValidator(10)]), "9", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "1,5", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "1.234", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "1234", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "NaN", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "1e3", "invalid_number"),
    (models.DecimalField(max_digits=5, decimal_places=2), "+", "invalid_number"),
    (
        models.DecimalField(max_digits=5, decimal_places=2, validators=[MinValueValidator(0)]),
        "-1",
        "min_value",
    ),
    (models.BooleanField(), "maybe", "invalid_choice"),
    (models.DateField(), "31.12.2024", "invalid_date"),
    (models.DateField(), "2024-02-30", "invalid_date"),
    (models.DateField(), "20240229", "invalid_date"),
    (models.DateTimeField(), "yesterday", "invalid_date"),
    (models.JSONField(), "{", "invalid"),
    (models.JSONField(), "NaN", "invalid"),
    (models.JSONField(), "1e9999", "invalid"),
    (models.JSONField(), '"\\u0000"', "invalid"),
    (models.JSONField(), '"\\ud800"', "invalid"),
    (models.JSONField(), "[" * 100_000, "invalid"),
    (models.CharField(choices=[("a", "A")]), "c", "invalid_choice"),
    (models.CharField(max_length=9, validators=[RegexValidator("^x")]), "abc", "invalid"),
    (models.FloatField(), "many", "invalid"),
    (models.UUIDField(), "4711", "invalid"),
]


def named(field: models.Field) -> models.Field:
    field.set_attributes_from_name("field")
    return field


@pytest.mark.parametrize(("field", "cell", "value"), GOOD)
def test_a_good_text_becomes_a_value_of_the_fields_type(field, cell, value):
    found = converters.for_field(named(field))(cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("field", "cell", "code"), BAD)
def test_a_bad_text_is_refused_with_a_code_and_a_sentence(field, cell, code):
    with pytest.raises(ValidationError) as refused:
        converters.for_field(named(field))(cell)
    assert refused.value.code == code
    assert all(len(message) < 300 for message in refused.value.messages)


def test_choices_match_folded_spellings_and_keep_the_declared_one():
    convert = converters.choices({"xl": "XL", "XL": "XL", "m": "m"})
    assert convert(" Xl, m ") == ["XL", "m"]
    assert convert(" , ") is None
    with pytest.raises(ValidationError, match="'s' is not one of"):
        convert("m,s")


@pytest.mark.parametrize("text", ["a\0b", {"k": "a\0b"}, {"a\0": 1}, {"k": [{"x": "\0"}]}])
def test_json_text_refuses_nul(text):
    with pytest.raises(ValueError, match="NUL"):
        converters.json_text(text)


def test_json_text_tells_nul_from_a_backslash():
    assert converters.json_text({"k": "\\u0000"}) == '{"k":"\\\\u0000"}'


def test_json_text_keeps_numbers_exactly():
    value = {"a": Decimal("3.280"), "b": [True, None, 'q"ü'], "c": dt.date(2024, 1, 2)}
    assert converters.json_text(value) == '{"a":3.280,"b":[true,null,"q\\"ü"],"c":"2024-01-02"}'
    with pytest.raises(ValueError, match="object has no form in JSON"):
        converters.json_text(object())
