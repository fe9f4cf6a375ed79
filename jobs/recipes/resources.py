"""`@resource`: a name for a resource, and the jobs that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

from jobs.definition import Job, digest, register
from jobs.recipes.exports import ExportJob
from jobs.recipes.imports import ImportJob
from jobs.recipes.keys import is_unique
from jobs.resources import RESOURCES, Resource


def resource(name: str) -> Callable[[type[Resource]], type[Resource]]:
    """Give a Resource its name, and register the jobs `<name>.import` and `<name>.export`.

    Launching them needs Django's permissions for the model: to add and change, or to view.
    Raises ValueError where the declaration contradicts the model.
    """

    def decorate(cls: type[Resource]) -> type[Resource]:
        present = RESOURCES.get(name)
        if present and (present.__module__, present.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ValueError(f"Two resources are named {name!r}: {present} and {cls}.")
        cls.name = name
        check(cls)
        RESOURCES[name] = cls
        _register_job(cls, ImportJob, "import", ("add", "change"))
        _register_job(cls, ExportJob, "export", ("view",))
        return cls

    return decorate


def _register_job(
    resource: type[Resource], recipe: type[Job], verb: str, rights: tuple[str, ...]
) -> None:
    meta = resource.model._meta
    plural = str(meta.verbose_name_plural)
    about = " ".join((resource.__doc__ or "").split("\n\n")[0].split())
    body: dict[str, Any] = {
        "resource": resource,
        "source": classmethod(lambda cls: "\n".join(cls.resource.sources())),
        "version": classmethod(lambda cls: digest(cls.name, *cls.resource.sources())),
        "__doc__": f"{verb.capitalize()} {plural}. {about}".strip(),
        "__module__": resource.__module__,
        "__qualname__": f"{resource.__qualname__}.{verb}",
    }
    register(
        f"{resource.name}.{verb}",
        type(f"{verb.capitalize()}{resource.__name__}", (recipe,), body),
        label=f"{verb.capitalize()} {plural}",
        permissions=tuple(f"{meta.app_label}.{right}_{meta.model_name}" for right in rights),
    )


def check(resource: type[Resource]) -> None:
    """Raise ValueError with a sentence for the first thing that the model contradicts."""
    model, meta = resource.model, resource.model._meta
    known = {field.name: field for field in (*meta.concrete_fields, *meta.many_to_many)}
    named = {*resource.fields, *resource.key_fields(), *resource.extra_fields()}
    named |= {*resource.lookups, *resource.aliases.values(), *resource.converters}
    if unknown := sorted(named - set(known)):
        raise _wrong(resource, f"{model.__name__} has no field {', '.join(unknown)}")
    if missing := [key for key in resource.key_fields() if key not in resource.fields]:
        raise _wrong(resource, f"the key {', '.join(missing)} is not among its fields")
    if not is_unique(model, set(resource.key_fields())):
        raise _wrong(
            resource, f"no unique constraint covers its key {', '.join(resource.key_fields())}"
        )
    for name in resource.extra_fields():
        if not isinstance(known[name], models.JSONField):
            raise _wrong(resource, f"{name}, which takes further columns, is no JSONField")
    for name in resource.fields:
        if known[name].is_relation:
            _check_relation(resource, known[name])


def _check_relation(resource: type[Resource], field: Any) -> None:
    lookup = resource.lookups.get(field.name)
    if lookup is None:
        raise _wrong(
            resource,
            f"lookups must say by which field of {field.related_model.__name__} files "
            f"name the {field.name}",
        )
    if not is_unique(field.related_model, {lookup}):
        raise _wrong(resource, f"{field.related_model.__name__}.{lookup} is not unique")
    own = field.related_model is resource.model and not field.many_to_many
    if own and (not field.null or (lookup,) != resource.key_fields()):
        raise _wrong(
            resource,
            f"{field.name} refers to the same model, so it must be nullable and looked "
            "up by the resource's key",
        )


def _wrong(resource: type[Resource], what: str) -> ValueError:
    return ValueError(f"The resource {resource.name!r} cannot be used: {what}.")
