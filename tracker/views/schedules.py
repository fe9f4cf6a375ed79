"""Schedules: the list, and the page on which one is made, changed and switched on and off."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs import control
from jobs.cron import in_words
from jobs.models import Schedule
from jobs.permissions import may, require, visible_schedules
from tracker import live
from tracker.access import signed_in
from tracker.queries import schedules as queries
from tracker.request import Request
from tracker.schedule_form import ScheduleForm

PAGE_SIZE = 50


def find(request: Request, code: str) -> Schedule:
    """The schedule, if this person may see it; otherwise there is none."""
    found = visible_schedules(request.user).select_related("profile", "run_as")
    return get_object_or_404(found, code=code)


@signed_in
@require_safe
def schedules(request: Request) -> HttpResponse:
    require(request.user, "view_tracker")
    found = Paginator(queries.listed(request.user), PAGE_SIZE)
    page = found.get_page(request.GET.get("page"))
    context = {
        "page": page,
        "lines": queries.lines(request.user, page),
        "manage": may(request.user, "manage_schedules"),
    }
    return live.show(request, "tracker/schedules.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_schedule(request: Request) -> HttpResponse:
    require(request.user, "manage_schedules")
    initial = {"profile": request.GET.get("profile"), "enabled": True}
    form = ScheduleForm(request.user, request.POST or None, initial=initial)
    return _edit(request, form)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def change_schedule(request: Request, code: str) -> HttpResponse:
    found = find(request, code)
    require(request.user, "change", found)
    return _edit(request, ScheduleForm(request.user, request.POST or None, instance=found))


def _edit(request: Request, form: ScheduleForm) -> HttpResponse:
    """The form; with `preview` only its next times are worked out, and nothing is saved."""
    looks = request.method != "POST" or "preview" in request.POST
    if not looks and form.keep():
        messages.success(request, f"“{form.instance.label}” is saved.")
        return redirect("tracker:schedule", form.instance.code)
    context = {"form": form, "schedule": form.instance, "times": form.next_times()}
    context["words"] = in_words(str(form["cron"].value() or ""))
    return render(request, "tracker/schedule_form.html", context, status=200 if looks else 422)


@signed_in
@require_safe
def schedule(request: Request, code: str) -> HttpResponse:
    page = queries.SchedulePage(request.user, find(request, code))
    context = {"page": page, "schedule": page.schedule}
    return render(request, "tracker/schedule.html", context)


@signed_in
@require_POST
def switch_schedule(request: Request, code: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    found = control.switch_schedule(find(request, code), on=on, by=request.user)
    messages.success(request, f"“{found.label}” is switched {'on' if on else 'off'}.")
    return redirect("tracker:schedule", code)


@signed_in
@require_POST
def delete_schedule(request: Request, code: str) -> HttpResponse:
    found = find(request, code)
    control.delete_schedule(found, by=request.user)
    messages.success(request, f"“{found.label}” is deleted. Its executions stay.")
    return redirect("tracker:schedules")
