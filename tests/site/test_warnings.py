"""The warnings of an execution, by reason, and the rows that they are of."""

import pytest

from jobs.models import JobExecution, RejectedRow, StepWarning
from jobs.reasons import COUNTED
from jobs.states import Status


@pytest.fixture
def warned(bob, execution):
    """Three bad families of one sentence, two prices with a sentence each, a skipped row."""
    done = execution(bob, Status.COMPLETED, warnings_count=6)
    step = done.steps.get()
    step.columns = ["sku", "family", "price"]
    step.save()
    lines = [
        (row, "unknown", "family", "There is no family 'shoez'.", "failed") for row in (3, 7, 9)
    ]
    lines += [(row, "number", "price", f"'{row}x' is not a number.", "failed") for row in (4, 5)]
    lines += [(11, "exists", "", "It exists.", "skipped")]
    StepWarning.objects.bulk_create(
        StepWarning(execution=done, step=step, row=row, code=code, column=column, message=said,
                    outcome=outcome)
        for row, code, column, said, outcome in lines
    )  # fmt: skip
    RejectedRow.objects.create(execution=done, step=step, row=3, cells=["A-3", "shoez", "<b>1</b>"])
    return done


def read(client, execution, query=""):
    return client.get(f"/executions/{execution.pk}/?tab=warnings{query}")


def follow(client, execution, line):
    return client.get(f"/executions/{execution.pk}/{line.address}").context["warnings"]


def test_warnings_that_say_the_same_are_counted_together(bobs, warned):
    page = read(bobs, warned)
    lines = page.context["warnings"].reasons
    assert [(line.count, line.text, line.is_part) for line in lines] == [
        (3, "There is no family 'shoez'.", False),
        (2, "Number: 2 different ones", False),
        (1, "'4x' is not a number.", True),
        (1, "'5x' is not a number.", True),
        (1, "It exists.", False),
    ]
    assert (lines[0].column, lines[0].outcome, lines[0].row) == ("family", "Failed", 3)
    assert lines[4].outcome == "Skipped"
    assert "There is no family &#x27;shoez&#x27;." in page.content.decode()


def test_a_reason_narrows_the_list_to_its_warnings_and_a_second_click_widens_it(bobs, warned):
    shoez, prices, one, *_ = read(bobs, warned).context["warnings"].reasons
    assert [row.row for row in follow(bobs, warned, shoez).rows] == [3, 7, 9]
    narrowed = follow(bobs, warned, prices)
    assert [row.row for row in narrowed.rows] == [4, 5]
    assert narrowed.reasons[1].is_current
    assert [row.row for row in follow(bobs, warned, one).rows] == [4]
    assert len(follow(bobs, warned, narrowed.reasons[1]).rows) == 6


def test_a_narrowed_list_is_searched_and_paged_within_its_reason(bobs, warned):
    step = warned.steps.get()
    StepWarning.objects.bulk_create(
        StepWarning(execution=warned, step=step, row=row, code="unknown", column="family",
                    message="There is no family 'shoez'.", key=f"K{row}")
        for row in range(100, 160)
    )  # fmt: skip
    shoez = read(bobs, warned).context["warnings"].reasons[0]
    first = follow(bobs, warned, shoez)
    second = bobs.get(f"/executions/{warned.pk}/{first.next}").context["warnings"]
    assert len(first.rows) + len(second.rows) == 63
    found = read(bobs, warned, f"&like={shoez.address.rpartition('=')[2]}&find=K120")
    assert [row.row for row in found.context["warnings"].rows] == [120]


@pytest.mark.parametrize("like", ["x", "9" * 30, "-1", "0"])
def test_a_reason_that_is_none_shows_no_false_ones(bobs, warned, like):
    answer = read(bobs, warned, f"&like={like}")
    assert answer.status_code == 200
    assert len(answer.context["warnings"].rows) == (0 if like == "0" else 6)


def test_a_warning_of_another_execution_is_no_reason_here(bobs, bob, warned, execution):
    other = execution(bob, Status.COMPLETED)
    strange = StepWarning.objects.create(
        execution=other, step=other.steps.get(), code="x", message="It exists."
    )
    assert read(bobs, warned, f"&like={strange.pk}").context["warnings"].rows == []


def test_only_so_many_are_counted_and_the_page_says_so(bobs, warned):
    JobExecution.objects.filter(pk=warned.pk).update(warnings_count=COUNTED + 5)
    page = read(bobs, warned).content.decode()
    assert "Counted among the first 10,000 of 10,005 warnings." in page


def test_a_row_is_shown_as_it_stood_in_the_file_with_its_faults(bobs, warned):
    page = read(bobs, warned).content.decode()
    at = f"/executions/{warned.pk}/rejected/3/"
    assert at in page
    assert f"/executions/{warned.pk}/rejected/7/" not in page  # its cells were not kept
    answer = bobs.get(at)
    row = answer.context["rejected"]
    assert [(cell.column, cell.value, cell.reasons) for cell in row.cells] == [
        ("family", "shoez", ["There is no family 'shoez'."]),
        ("sku", "A-3", []),
        ("price", "<b>1</b>", []),
    ]
    assert "&lt;b&gt;1&lt;/b&gt;" in answer.content.decode()
    assert bobs.get(f"/executions/{warned.pk}/rejected/7/").status_code == 404


def test_a_row_of_another_length_than_the_header_is_shown_whole(bobs, warned):
    RejectedRow.objects.update(cells=["A-3", "shoez", "1", "too much"])
    row = bobs.get(f"/executions/{warned.pk}/rejected/3/").context["rejected"]
    assert [cell.column for cell in row.cells] == ["family", "sku", "price", "Column 4"]
    RejectedRow.objects.update(cells=["A-3"])
    row = bobs.get(f"/executions/{warned.pk}/rejected/3/").context["rejected"]
    assert {cell.column: cell.value for cell in row.cells} == {
        "sku": "A-3", "family": "", "price": "",
    }  # fmt: skip


def test_the_list_asks_no_more_queries_for_more_reasons(
    bobs, warned, django_assert_max_num_queries
):
    with django_assert_max_num_queries(8):
        page = read(bobs, warned, "&code=unknown&column=family")
    assert page.status_code == 200
