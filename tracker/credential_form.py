"""The form of a credential: a name, and what its kind of place asks for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction

from jobs import control
from jobs.models import Credential
from jobs.places import KINDS

KEPT = "Leave it empty to keep what there is"


class NameForm(forms.Form):
    """What a new credential needs besides."""

    name = forms.CharField(
        max_length=100,
        validators=[validate_slug],
        help_text="Jobs name it so; letters, digits, - and _. It cannot be changed later.",
    )


class CredentialForm:
    """A new or present credential, to be shown, checked and saved as `user`."""

    def __init__(self, credential: Credential, user: User, data: Any = None):
        self.credential, self.user = credential, user
        kind = KINDS[credential.kind]
        self.name = None if credential.key_id or credential.options else NameForm(data)
        self.form = kind.form(data, initial=credential.options)
        if credential.secret:
            for name in kind.secrets:
                self.form.fields[name].widget.attrs["placeholder"] = KEPT
        elif len(kind.needs) == 1:
            self.form.fields[kind.needs[0]].required = True

    def keep(self) -> bool:
        """Save it; false with errors in the form when it does not pass. Raises Denied."""
        named = self.name is None or self.name.is_valid()
        if not self.form.is_valid() or not named:
            return False
        if self.name:
            self.credential.name = self.name.cleaned_data["name"]
        try:
            with transaction.atomic():
                control.save_credential(self.credential, self.form.cleaned_data, by=self.user)
        except ValidationError as invalid:
            self._say(invalid)
        except IntegrityError:
            self._say(ValidationError({"name": "There is one of this name already."}))
        return not (self.form.errors or (self.name and self.name.errors))

    def _say(self, invalid: ValidationError) -> None:
        if not hasattr(invalid, "error_dict"):
            self.form.add_error(None, invalid)
            return
        for name, errors in invalid.message_dict.items():
            if self.name and name == "name":
                self.name.add_error(name, errors)
            else:
                self.form.add_error(name if name in self.form.fields else None, errors)
