"""Mistakes in a task file that come to light when it is planned: one line each, with the file in front."""

from __future__ import annotations

import pytest

from evalsuite.errors import UserError
from evalsuite.runner.plan import plan_task
from evalsuite.tasks.registry import read_task

CHOICES = "{{ [question, answer] }}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "{{ qestion }}"}, "prompt: the rows have no column 'qestion': did you mean question?"),
        ({"prompt": "{{ question"}, "prompt: unexpected end of template, expected 'end of print statement'."),
        ({"verifier.name": "exact_mach"}, "unknown verifier 'exact_mach': did you mean exact_match?"),
        ({"verifier.name": "nowhere:Verify"}, "verifier 'nowhere:Verify' cannot be imported"),
        ({"verifier.params": {"lower": True}}, "unknown parameter 'lower'"),
        ({"verifier": {"name": "choice", "params": {"patterns": ["(["]}}}, "'([' is not a regular expression"),
        ({"data.prepare": "clean"}, "unknown data.prepare 'clean'"),
        ({"data.prepare": "gpqa"}, "data.prepare = 'gpqa': a row has no column 'Correct Answer'"),
        ({"data.where": "{{ kind == 'c' }}"}, "data.where is true of none of the 3 rows"),
        ({"fewshot": {"shots": 1, "source": "lm-eval:gsm8k/none.yaml"}}, "has no file tasks/gsm8k/none.yaml"),
        ({"verifier.name": "mc2"}, "verifier mc2 compares 'continuations', which are missing"),
        ({"continuations": CHOICES}, "'continuations' are compared by most_likely or mc2, not exact_match"),
        ({"verifier.name": "wildguard"}, "judge.wildguard, which its verifier asks, is not described"),
        ({"judge": {"wildguard": {"model": "x"}}}, "judge.wildguard is one its verifier never asks"),
    ],
)
def test_a_mistake_is_one_line_that_begins_with_the_file(write_task, small_mirror, changes, message):
    path = write_task()
    with pytest.raises(UserError) as raised:
        plan_task(read_task(path, changes), mirror=small_mirror, limit=None, chat=True, seed=0)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert said.count(str(path)) == 1
    assert "\n" not in said


def test_a_verifier_of_ones_own_may_compare_continuations(write_task, small_mirror):
    changes = {
        "continuations": CHOICES,
        "target": "{{ 1 }}",
        "verifier.name": "evalsuite.verifiers.most_likely:MostLikely",
    }
    plan = plan_task(read_task(write_task(), changes), mirror=small_mirror, limit=1, chat=False, seed=0)
    assert plan.requests[0].request.continuations == (" 1+1", " 2")
