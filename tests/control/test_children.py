"""A stop takes the children along, whatever they are doing meanwhile."""

from __future__ import annotations

import pytest
from django.db import connection

from jobs import control
from jobs.states import Status

pytestmark = pytest.mark.django_db

# The second child completes at the moment in which the first one is stopped.
MEANWHILE = """
CREATE FUNCTION meanwhile() RETURNS trigger AS $$ BEGIN
  UPDATE jobs_jobexecution SET status = 'completed', finished_at = clock_timestamp()
  WHERE id = TG_ARGV[0]::uuid; RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE TRIGGER meanwhile AFTER UPDATE ON jobs_jobexecution FOR EACH ROW
WHEN (NEW.id = '{first}' AND NEW.status = 'stopped') EXECUTE FUNCTION meanwhile('{second}')
"""


def test_a_child_that_ends_meanwhile_does_not_keep_its_parent_from_being_stopped():
    parent = control.launch(job="samples.function")
    first, second = (control.launch(job="samples.function", parent=parent) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute(MEANWHILE.format(first=first.pk, second=second.pk))
    control.stop(parent)
    for child in (first, second):
        child.refresh_from_db()
    assert (parent.status, first.status) == (Status.STOPPED, Status.STOPPED)
    assert second.status == Status.COMPLETED
