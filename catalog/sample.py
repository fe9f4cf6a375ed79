"""A made-up catalogue of outdoor gear, in the column format that the imports read.

    python -m catalog.sample FOLDER [--products N] [--seed S]

The same seed gives the same files. A handful of products have faults, so that warnings are seen.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

LOCALES = ("en_US", "fr_FR", "de_DE")
CHANNELS = ("ecommerce", "print")
LABELS = [f"label-{locale}" for locale in LOCALES]

# By code: (parent, English, French, German)
CATEGORIES = {
    "shop": ("", "Shop", "Boutique", "Laden"),
    "outlet": ("", "Outlet", "Fins de série", "Restposten"),
    "camping": ("shop", "Camping", "Camping", "Camping"),
    "tents": ("camping", "Tents", "Tentes", "Zelte"),
    "sleeping_bags": ("camping", "Sleeping bags", "Sacs de couchage", "Schlafsäcke"),
    "cookware": ("camping", "Cookware", "Popotes", "Kochgeschirr"),
    "lighting": ("camping", "Lighting", "Éclairage", "Beleuchtung"),
    "hiking": ("shop", "Hiking", "Randonnée", "Wandern"),
    "backpacks": ("hiking", "Backpacks", "Sacs à dos", "Rucksäcke"),
    "boots": ("hiking", "Boots", "Chaussures", "Stiefel"),
    "bottles": ("hiking", "Bottles", "Gourdes", "Flaschen"),
    "clothing": ("shop", "Clothing", "Vêtements", "Kleidung"),
    "jackets": ("clothing", "Jackets", "Vestes", "Jacken"),
    "shirts": ("clothing", "Shirts", "T-shirts", "Hemden"),
    "outlet_camping": ("outlet", "Camping outlet", "Camping soldé", "Camping-Restposten"),
    "outlet_clothing": ("outlet", "Clothing outlet", "Vêtements soldés", "Kleidungsrestposten"),
}

# By code: (type, group, localizable, scopable, further columns, English, French, German)
ATTRIBUTES: dict[str, tuple[str, str, int, int, dict[str, str], str, str, str]] = {
    "sku": ("identifier", "erp", 0, 0, {"unique": "1"}, "SKU", "Référence", "Artikelnummer"),
    "name": ("text", "marketing", 0, 0, {}, "Name", "Nom", "Name"),
    "title": ("text", "marketing", 1, 0, {"max_characters": "120"}, "Title", "Titre", "Titel"),
    "description": ("textarea", "marketing", 1, 1, {}, "Description", "Description", "Text"),
    "price": ("price_collection", "erp", 0, 0, {"decimals_allowed": "1"}, "Price", "Prix", "Preis"),
    "ean": ("text", "erp", 0, 0, {"unique": "1", "max_characters": "13"}, "EAN", "EAN", "EAN"),
    "color": ("simpleselect", "design", 0, 0, {}, "Colour", "Couleur", "Farbe"),
    "size": ("simpleselect", "design", 0, 0, {}, "Size", "Taille", "Größe"),
    "material": ("simpleselect", "design", 0, 0, {}, "Material", "Matière", "Material"),
    "seasons": ("multiselect", "marketing", 0, 0, {}, "Seasons", "Saisons", "Jahreszeiten"),
    "weight": (
        "metric",
        "technical",
        0,
        0,
        {"decimals_allowed": "1", "metric_family": "Weight", "default_metric_unit": "GRAM"},
        "Weight",
        "Poids",
        "Gewicht",
    ),
    "capacity": (
        "metric",
        "technical",
        0,
        0,
        {"decimals_allowed": "1", "metric_family": "Volume", "default_metric_unit": "LITER"},
        "Capacity",
        "Capacité",
        "Fassungsvermögen",
    ),
    "persons": (
        "number",
        "technical",
        0,
        0,
        {"decimals_allowed": "0", "negative_allowed": "0", "number_max": "20"},
        "Persons",
        "Personnes",
        "Personen",
    ),
    "comfort_temperature": (
        "number",
        "technical",
        0,
        0,
        {"decimals_allowed": "1", "negative_allowed": "1"},
        "Comfort temperature",
        "Température de confort",
        "Komforttemperatur",
    ),
    "waterproof": ("boolean", "technical", 0, 0, {}, "Waterproof", "Imperméable", "Wasserdicht"),
    "available_from": ("date", "marketing", 0, 1, {}, "Available from", "Dès le", "Ab"),
    "image": (
        "image",
        "media",
        0,
        0,
        {"allowed_extensions": "jpg,png"},
        "Image",
        "Image",
        "Bild",
    ),
}
ATTRIBUTE_COLUMNS = [
    "type",
    "group",
    "sort_order",
    "localizable",
    "scopable",
    "unique",
    "max_characters",
    "number_max",
    "decimals_allowed",
    "negative_allowed",
    "metric_family",
    "default_metric_unit",
    "allowed_extensions",
]

# By attribute and code: (English, French, German)
OPTIONS = {
    "color": {
        "forest_green": ("Forest green", "Vert forêt", "Waldgrün"),
        "slate_grey": ("Slate grey", "Gris ardoise", "Schiefergrau"),
        "sunset_orange": ("Sunset orange", "Orange couchant", "Abendorange"),
        "deep_blue": ("Deep blue", "Bleu profond", "Tiefblau"),
        "sand": ("Sand", "Sable", "Sand"),
        "black": ("Black", "Noir", "Schwarz"),
    },
    "size": {size: (size.upper(),) * 3 for size in ("xs", "s", "m", "l", "xl")},
    "material": {
        "merino": ("Merino wool", "Laine mérinos", "Merinowolle"),
        "recycled_nylon": ("Recycled nylon", "Nylon recyclé", "Recyceltes Nylon"),
        "down": ("Down", "Duvet", "Daunen"),
        "titanium": ("Titanium", "Titane", "Titan"),
        "leather": ("Leather", "Cuir", "Leder"),
        "steel": ("Stainless steel", "Acier inoxydable", "Edelstahl"),
    },
    "seasons": {
        "spring": ("Spring", "Printemps", "Frühling"),
        "summer": ("Summer", "Été", "Sommer"),
        "autumn": ("Autumn", "Automne", "Herbst"),
        "winter": ("Winter", "Hiver", "Winter"),
    },
}

COMMON = ["sku", "name", "title", "description", "price", "ean", "color", "weight", "image"]
# By code: (category, nouns, own attributes, lowest and highest price, English, French, German)
FAMILIES: dict[str, tuple[str, tuple[str, ...], list[str], int, int, str, str, str]] = {
    "tent": (
        "tents",
        ("Dome tent", "Tunnel tent", "Trekking tent", "Family tent"),
        ["persons", "material", "seasons", "waterproof"],
        89,
        899,
        "Tents",
        "Tentes",
        "Zelte",
    ),
    "sleeping_bag": (
        "sleeping_bags",
        ("Mummy bag", "Quilt", "Summer bag"),
        ["comfort_temperature", "material", "seasons", "size"],
        49,
        549,
        "Sleeping bags",
        "Sacs de couchage",
        "Schlafsäcke",
    ),
    "cookware": (
        "cookware",
        ("Pot set", "Frying pan", "Kettle", "Mug"),
        ["capacity", "material"],
        9,
        129,
        "Cookware",
        "Popotes",
        "Kochgeschirr",
    ),
    "lamp": (
        "lighting",
        ("Headlamp", "Lantern", "Torch"),
        ["waterproof", "available_from"],
        12,
        149,
        "Lamps",
        "Lampes",
        "Lampen",
    ),
    "backpack": (
        "backpacks",
        ("Day pack", "Trekking pack", "Hip pack"),
        ["capacity", "waterproof", "material"],
        29,
        329,
        "Backpacks",
        "Sacs à dos",
        "Rucksäcke",
    ),
    "boot": (
        "boots",
        ("Trail boot", "Alpine boot", "Approach shoe"),
        ["size", "material", "waterproof", "seasons"],
        79,
        399,
        "Boots",
        "Chaussures",
        "Stiefel",
    ),
    "bottle": (
        "bottles",
        ("Bottle", "Vacuum flask", "Soft flask"),
        ["capacity", "material"],
        7,
        59,
        "Bottles",
        "Gourdes",
        "Flaschen",
    ),
    "jacket": (
        "jackets",
        ("Shell jacket", "Down jacket", "Fleece jacket", "Rain poncho"),
        ["size", "material", "seasons", "waterproof", "available_from"],
        39,
        699,
        "Jackets",
        "Vestes",
        "Jacken",
    ),
    "shirt": (
        "shirts",
        ("Base layer", "Trail shirt", "Sun hoody"),
        ["size", "material", "seasons"],
        19,
        119,
        "Shirts",
        "T-shirts",
        "Hemden",
    ),
}
MAKERS = ("Larkfell", "Nordgrat", "Quillan", "Tarnmoor", "Brisa", "Hollowpine", "Veska")
SERIES = ("Light", "Pro", "Trail", "Basecamp", "Ridge", "Summit", "Fjord", "Delta", "Classic")
SENTENCES = (
    "Packs small and dries fast.",
    "Made from recycled yarn; repaired free of charge for ten years.",
    'Guides call it "the one that comes back".',
    "The seams are taped, the zips run smoothly with gloves on.",
    "Tested for two winters above the tree line.",
    "Weighs less than it looks.",
)
PRODUCT_COLUMNS = [
    "sku",
    "name",
    "family",
    "categories",
    "enabled",
    "parent",
    "groups",
    "price-EUR",
    "price-USD",
    "ean",
    *(f"title-{locale}" for locale in LOCALES),
    *(f"description-en_US-{channel}" for channel in CHANNELS),
    "color",
    "size",
    "material",
    "seasons",
    "weight",
    "weight-unit",
    "capacity",
    "capacity-unit",
    "persons",
    "comfort_temperature",
    "waterproof",
    "available_from-ecommerce",
    "image",
    "PACK-products",
    "UPSELL-products",
]
# Every so many products one has this fault: what it is, and the cells that make it.
FAULTS: list[dict[str, str]] = [
    {"family": "hovercraft"},
    {"price-EUR": "129,90"},
    {"color": "invisible"},
    {"available_from-ecommerce": "31.02.2026"},
    {"categories": "shop,attic"},
    {"price-EUR": "-5.00"},
    {"persons": "two"},
    {"sku": ""},
]


def generate(folder: Path, products: int = 1200, seed: int = 2026) -> None:
    """Write categories, attributes, attribute options, families and products to CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    _write(folder / "categories.csv", ["code", "parent", *LABELS], _categories())
    _write(
        folder / "attributes.csv",
        ["code", *LABELS, *ATTRIBUTE_COLUMNS],
        _attributes(),
    )
    _write(
        folder / "attribute_options.csv",
        ["code", *LABELS, "attribute", "sort_order"],
        _options(),
    )
    _write(
        folder / "families.csv",
        ["code", *LABELS, "attributes", "attribute_as_image", "attribute_as_label"]
        + [f"requirements-{channel}" for channel in CHANNELS],
        _families(),
    )
    _write(folder / "products.csv", PRODUCT_COLUMNS, _products(products, chance))


def _write(path: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _categories() -> Iterator[list[object]]:
    for code, (parent, *labels) in CATEGORIES.items():
        yield [code, parent, *labels]


def _attributes() -> Iterator[list[object]]:
    for order, (code, attribute) in enumerate(ATTRIBUTES.items(), 1):
        kind, group, localizable, scopable, more, *labels = attribute
        cells = {
            "type": f"pim_catalog_{kind}",
            "group": group,
            "sort_order": order,
            "localizable": localizable,
            "scopable": scopable,
            "unique": "0",
            **more,
        }
        yield [code, *labels, *(cells.get(column, "") for column in ATTRIBUTE_COLUMNS)]


def _options() -> Iterator[list[object]]:
    for attribute, options in OPTIONS.items():
        for order, (code, labels) in enumerate(options.items(), 1):
            yield [code, *labels, attribute, order]


def _families() -> Iterator[list[object]]:
    for code, (_, _, own, _, _, *labels) in FAMILIES.items():
        required = ["sku", "name", "price", *own[:1]]
        attributes = ",".join([*COMMON, *own])
        yield [code, *labels, attributes, "image", "name", ",".join(required), "sku,name"]


def _products(count: int, chance: random.Random) -> Iterator[list[object]]:
    """The products, of which up to one in a hundred is at fault."""
    every = max(count // (len(FAULTS) + 1), 100)
    for number in range(1, count + 1):
        product = _product(number, chance)
        at, exact = divmod(number, every)
        if exact == 0 and at <= len(FAULTS):
            product |= FAULTS[at - 1]
        yield [product.get(column, "") for column in PRODUCT_COLUMNS]


def _product(number: int, chance: random.Random) -> dict[str, str]:
    code = chance.choice(tuple(FAMILIES))
    category, nouns, own, lowest, highest, *_ = FAMILIES[code]
    noun, maker = chance.choice(nouns), chance.choice(MAKERS)
    name = f"{maker} {noun} {chance.choice(SERIES)} {chance.randint(1, 90)}"
    price = chance.randint(lowest * 100, highest * 100) / 100
    categories = [category]
    if chance.random() < 0.15:
        categories.append("outlet_clothing" if "size" in own else "outlet_camping")
    product = {
        "sku": f"{maker[:3].upper()}-{number:06d}",
        "name": name,
        "family": code,
        "categories": ",".join(categories),
        "enabled": "0" if chance.random() < 0.05 else "1",
        "groups": "promotion" if chance.random() < 0.1 else "",
        "price-EUR": f"{price:.2f}",
        "price-USD": f"{price * 1.08:.2f}",
        "ean": f"{4_000_000_000_000 + number * 97:013d}",
        "title-en_US": f"{name} by {maker}",
        "title-fr_FR": f"{name} de {maker}",
        "title-de_DE": f"{name} von {maker}",
        "description-en_US-ecommerce": " ".join(chance.sample(SENTENCES, 3)),
        "description-en_US-print": chance.choice(SENTENCES),
        "color": chance.choice(tuple(OPTIONS["color"])),
        "weight": str(chance.randint(20, 9000)),
        "weight-unit": "GRAM",
        "image": f"images/{code}/{number:06d}.jpg",
    }
    for attribute in own:
        product |= _value(attribute, chance)
    if number > 10 and chance.random() < 0.08:
        product["UPSELL-products"] = f"{chance.choice(MAKERS)[:3].upper()}-{number - 7:06d}"
    return product


def _value(attribute: str, chance: random.Random) -> dict[str, str]:
    """The cells of one of the attributes that only some families have."""
    match attribute:
        case "size" | "material":
            return {attribute: chance.choice(tuple(OPTIONS[attribute]))}
        case "seasons":
            seasons = [each for each in OPTIONS["seasons"] if chance.random() < 0.6]
            return {"seasons": ",".join(seasons)}
        case "capacity":
            return {"capacity": f"{chance.randint(2, 700) / 10:g}", "capacity-unit": "LITER"}
        case "persons":
            return {"persons": str(chance.randint(1, 8))}
        case "comfort_temperature":
            return {"comfort_temperature": f"{chance.randint(-250, 150) / 10:g}"}
        case "waterproof":
            return {"waterproof": str(chance.randint(0, 1))}
        case _:
            day = dt.date(2024, 1, 1) + dt.timedelta(days=chance.randint(0, 1000))
            return {"available_from-ecommerce": day.isoformat()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="catalog.sample", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--products", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    generate(options.folder, options.products, options.seed)
