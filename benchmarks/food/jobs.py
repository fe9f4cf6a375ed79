"""The import of food products: what cannot be becomes a warning."""

import re

from django.core.exceptions import ValidationError

from benchmarks.food.models import Food
from jobs import Resource, convert, resource

BARCODE = re.compile(r"\d{8}|\d{12,14}", re.ASCII).fullmatch  # EAN-8, UPC, EAN-13, GTIN-14
LOST = "\ufffd"  # what was no character in some earlier encoding


def barcode(cell: str) -> str:
    if not BARCODE(cell):
        raise ValidationError(f"{cell!r} is not a barcode of 8, 12, 13 or 14 digits.", "barcode")
    return cell


def readable(longest: int | None = None) -> convert.Convert:
    """Text none of whose characters was lost on its way here."""
    text = convert.text(longest)

    def readable_text(cell: str) -> str:
        if LOST in cell:
            raise ValidationError(f"A character is lost near {near(cell)!r}.", "lost_character")
        return text(cell)

    return readable_text


def near(cell: str) -> str:
    at = cell.index(LOST)
    return cell[max(0, at - 15) : at + 15]


@resource("food.food")
class FoodResource(Resource):
    """Food products, matched by barcode."""

    model = Food
    key = "barcode"
    fields = [
        "barcode", "name", "ingredients", "image", "fat", "saturated_fats", "carbohydrate", "sugar",
        "dietary_fiber", "protein", "salt", "sodium", "alcohol", "is_healthy",
    ]  # fmt: skip
    aliases = {
        "barcode_id": "barcode", "product_name": "name", "product_image": "image",
        "fat_amount": "fat",
    }  # fmt: skip
    converters = {"barcode": barcode, "name": readable(255), "ingredients": readable()}
