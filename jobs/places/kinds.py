"""The kinds of places that a credential leads to: what is asked for, and what of it is secret."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator, URLValidator

from jobs.places.base import Place, PlaceError
from jobs.places.names import clean_path

HOST = RegexValidator(r"^[A-Za-z0-9.:_-]+$", "Write a host's name or address, without more.")
FINGERPRINT = RegexValidator(
    r"^SHA256:[A-Za-z0-9+/]{43}$",
    "A fingerprint looks like SHA256:…, as `ssh-keygen -lf` prints it for the server's key.",
)
HEADER = RegexValidator(r"^[A-Za-z0-9-]+$", "The name of a header has letters, digits and '-'.")
PLAIN = RegexValidator(
    r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z",
    "It has letters, digits and signs of ASCII only: a header can hold no others.",
)
ADDRESS = URLValidator(("https", "http"))


class FolderField(forms.CharField):
    """A folder within the place, or nothing for all of it."""

    def __init__(self, *, absolute: bool = False, **options: Any) -> None:
        super().__init__(required=False, max_length=300, **options)
        self.absolute = absolute

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        root = "/" if self.absolute and text.startswith("/") else ""
        try:
            return root + clean_path(text.removeprefix(root))
        except ValueError as error:
            raise ValidationError(str(error)) from error


class SecretField(forms.CharField):
    """What is written once and never shown; left empty, it stays as it is."""

    def __init__(self, *, lines: bool = False, **options: Any) -> None:
        attributes = {"autocomplete": "off", "spellcheck": "false"}
        if lines:
            widget: Any = forms.Textarea(attrs={**attributes, "rows": 4})
        else:
            widget = forms.PasswordInput(attrs={**attributes, "autocomplete": "new-password"})
        super().__init__(required=False, strip=not lines, max_length=20_000, widget=widget,
                         **options)  # fmt: skip


class AddressField(forms.CharField):
    """An address of the web, without a user in it: that would be a secret in plain sight."""

    def clean(self, value: Any) -> str:
        text = super().clean(value).rstrip("/")
        if text:
            ADDRESS(text)
            if "@" in text or "?" in text or "#" in text:
                raise ValidationError(
                    "Write the address alone: users and secrets have fields of their own."
                )
        return text


class S3Form(forms.Form):
    bucket = forms.CharField(max_length=100)
    folder = FolderField(help_text="Paths begin here; empty for the whole bucket.")
    region = forms.CharField(max_length=50, required=False, help_text="Such as eu-central-1.")
    endpoint = AddressField(
        max_length=300, required=False, help_text="Only for servers other than Amazon's."
    )
    access_key = forms.CharField(max_length=200, help_text="The id of the access key.")
    secret_key = SecretField(label="Secret access key")


class SFTPForm(forms.Form):
    host = forms.CharField(max_length=255, validators=[HOST])
    port = forms.IntegerField(min_value=1, max_value=65_535, initial=22, required=False)
    user = forms.CharField(max_length=200)
    fingerprint = forms.CharField(
        max_length=60,
        validators=[FINGERPRINT],
        label="Key of the server",
        help_text="Its fingerprint, SHA256:…; ask who runs the server for it.",
    )
    folder = FolderField(absolute=True, help_text="Paths begin here; empty for the account's own.")
    password = SecretField()
    private_key = SecretField(lines=True, help_text="Instead of a password; PEM or OpenSSH.")
    passphrase = SecretField(help_text="Of the private key, if it has one.")


class AzureForm(forms.Form):
    account = forms.CharField(max_length=100, label="Storage account")
    container = forms.CharField(max_length=100)
    folder = FolderField(help_text="Paths begin here; empty for the whole container.")
    endpoint = AddressField(
        max_length=300, required=False, help_text="Only for servers other than Microsoft's."
    )
    account_key = SecretField(label="Key of the account")
    sas_token = SecretField(label="SAS token", help_text="Instead of the key.")


class GCSForm(forms.Form):
    bucket = forms.CharField(max_length=100)
    folder = FolderField(help_text="Paths begin here; empty for the whole bucket.")
    endpoint = AddressField(
        max_length=300, required=False, help_text="Only for servers other than Google's."
    )
    service_account = SecretField(
        lines=True, help_text="The whole JSON file that Google has made for it."
    )


class HTTPSForm(forms.Form):
    base_url = AddressField(
        max_length=300, label="Address", help_text="Paths are added to it: https://example.org/feed"
    )
    user = forms.CharField(max_length=200, required=False, help_text="For a user and password.")
    password = SecretField()
    token = SecretField(validators=[PLAIN], help_text="Sent as Authorization: Bearer.")
    header = forms.CharField(
        max_length=100, required=False, validators=[HEADER],
        help_text="For a secret in a header of its own, such as X-Api-Key.",
    )  # fmt: skip
    header_value = SecretField(validators=[PLAIN])


@dataclass(frozen=True)
class Kind:
    """A kind of place: its form, the class that reaches it, and the secrets of which it needs one.

    `moves` are the options that may change while the secret stays: they do not say who gets it.
    """

    label: str
    form: type[forms.Form]
    driver: str
    package: str = ""
    needs: tuple[str, ...] = ()
    moves: frozenset[str] = frozenset({"folder"})

    @property
    def secrets(self) -> list[str]:
        fields: Any = self.form.base_fields
        return [name for name, of in fields.items() if isinstance(of, SecretField)]


KINDS = {
    "s3": Kind("Amazon S3 or compatible", S3Form, "S3", "boto3", ("secret_key",)),
    "sftp": Kind("SFTP", SFTPForm, "SFTP", "paramiko", ("password", "private_key")),
    "azure": Kind(
        "Azure Blob Storage", AzureForm, "Azure", "azure-storage-blob", ("account_key", "sas_token")
    ),
    "gcs": Kind("Google Cloud Storage", GCSForm, "GCS", "google-auth", ("service_account",)),
    "https": Kind("HTTPS", HTTPSForm, "HTTPS"),
}


def connect(kind: str, options: dict[str, Any], secret: dict[str, str]) -> Place:
    """The place; options that are missing are empty. Raises PlaceError where its package is."""
    fields: Any = KINDS[kind].form.base_fields
    known = {name: options.get(name) or "" for name in fields}
    module = import_module(f"jobs.places.{kind}")
    try:
        return getattr(module, KINDS[kind].driver)(known, secret)
    except ImportError as error:
        raise PlaceError(
            f"Reaching {KINDS[kind].label} needs the package {KINDS[kind].package}:"
            f" install millrace[{kind}] where workers run."
        ) from error
