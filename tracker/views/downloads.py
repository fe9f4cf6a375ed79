"""Files of executions, and those made while they are sent: rejected rows, and templates."""

from typing import Any

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from jobs.downloads import OutsideTheFile, attached, download
from jobs.formats.writing import TYPES
from jobs.permissions import require, visible_profiles, visible_to
from jobs.rejected import rejected_file
from jobs.template_files import template_file
from tracker.access import signed_in
from tracker.corrections import FORMATS
from tracker.request import Request


@signed_in
@require_safe
def file(request: Request, pk: Any, file_pk: int) -> HttpResponseBase:
    """A file that an execution read or made."""
    found = get_object_or_404(visible_to(request.user).select_related("profile"), pk=pk)
    wanted = get_object_or_404(found.files, pk=file_pk)
    require(request.user, "download", found)
    try:
        return download(request.headers, wanted)
    except OutsideTheFile as error:
        headers = {"Content-Range": error.content_range}
        return HttpResponse(str(error), status=416, content_type="text/plain", headers=headers)


@signed_in
@require_safe
def rejected(request: Request, pk: Any) -> HttpResponseBase:
    """The rows that failed, in the format of the input or the one that is asked for."""
    found = get_object_or_404(visible_to(request.user).select_related("profile"), pk=pk)
    require(request.user, "download", found)
    file = rejected_file(found, _format(request))
    if file is None:
        raise Http404
    response = StreamingHttpResponse(file.blocks, content_type=file.content_type)
    return attached(response, file.name)


@signed_in
@require_safe
def template(request: Request, code: str) -> HttpResponseBase:
    """The columns that an import takes, as a file to be filled in."""
    found = get_object_or_404(visible_profiles(request.user), code=code)
    require(request.user, "launch", found)
    resource = getattr(found.definition, "resource", None)
    if resource is None or found.type != "import":
        raise Http404
    kind = _format(request) or FORMATS[0][0]
    name = f"{resource.name.rpartition('.')[2]}.{kind}"
    return attached(HttpResponse(template_file(resource, kind), content_type=TYPES[kind]), name)


def _format(request: Request) -> str:
    wanted = request.GET.get("format", "")
    if wanted and wanted not in dict(FORMATS):
        raise Http404
    return wanted
