"""Places where files lie outside of this site: folders of the server, S3, SFTP, Azure, GCS, HTTPS.

They know no tables. `connect` makes one; the libraries that they need are imported by then only.
"""

from __future__ import annotations

from jobs.places.base import Found, NotThere, Place, PlaceError, Unavailable, newest
from jobs.places.fields import PathField, PlaceField, place_fields
from jobs.places.folder import Folder, folders
from jobs.places.kinds import KINDS, connect
from jobs.places.names import clean_path, expand, is_pattern, safe_name

__all__ = [
    "KINDS",
    "Folder",
    "Found",
    "NotThere",
    "PathField",
    "Place",
    "PlaceError",
    "PlaceField",
    "Unavailable",
    "clean_path",
    "connect",
    "expand",
    "folders",
    "is_pattern",
    "newest",
    "place_fields",
    "safe_name",
]
