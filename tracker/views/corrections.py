"""The corrected file of an import comes back."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from jobs import control
from jobs.permissions import Denied
from tracker.access import signed_in
from tracker.corrections import may_send_back, send_back
from tracker.forms import ONCE
from tracker.request import Request
from tracker.views.execution import find
from tracker.views.profiles import announce, go_to


@signed_in
@require_POST
def send(request: Request, pk: Any) -> HttpResponse:
    """Launch the same import with the file that is sent."""
    found = find(request, pk)
    decision = may_send_back(request.user, found)
    if not decision:
        raise Denied(decision)
    files = f"{found.get_absolute_url()}?tab=files"
    file = request.FILES.get("file")
    if file is None:
        messages.warning(request, "Choose the corrected file first.")
        return go_to(request, files)
    key = request.POST.get(ONCE, "")[:100] or uuid.uuid4().hex
    try:
        launched = send_back(found, file, request.user, key)
    except (control.Refused, control.InvalidParameters) as refused:
        messages.error(request, str(refused))
        return go_to(request, files)
    announce(request, launched)
    return go_to(request, launched.get_absolute_url())
