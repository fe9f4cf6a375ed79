"""The files of the demonstration, known before Django is: which there must be."""

from pathlib import Path

# In this order: families name attributes, products name families and categories.
IMPORTS = {
    "import_categories": "categories.csv",
    "import_attributes": "attributes.csv",
    "import_attribute_options": "attribute_options.csv",
    "import_families": "families.csv",
    "import_products": "products.csv",
}


def lack(folder: Path) -> str:
    """Return the sentence that says which files the folder lacks, or nothing."""
    missing = [name for name in IMPORTS.values() if not (folder / name).is_file()]
    if not missing:
        return ""
    return (
        f"{folder} has no {_listed(missing)}. --data takes a folder with the files "
        f"{_listed(list(IMPORTS.values()))} in Icecat's format."
    )


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
