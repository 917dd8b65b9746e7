"""The joining and stripping rules of eval spec §2.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from evalsuite.errors import InvalidTask
from evalsuite.prompts import ChatPrompt, Message, TextPrompt, render_prompt, render_target
from evalsuite.prompts.render import render_continuations
from evalsuite.prompts.templates import render_text, render_value
from evalsuite.tasks.registry import read_task

ROW = {"question": "1+1", "answer": "2", "subtask": "sums"}
SHOTS = [{"question": "2+2", "answer": " 4 "}, {"question": "3+3", "answer": "6"}]


@pytest.fixture
def task(write_task):
    def make(**overrides):
        return read_task(write_task(), overrides)

    return make


def test_chat_without_exemplars_is_one_turn_and_keeps_the_prefix_in_the_text(task):
    made = task(**{"description": "Sums. ", "final_description": "\nGo.", "format.assistant_prefix": "A:"})
    expected = ChatPrompt((Message("user", "Sums. Q: 1+1\nA:\nGo."),), "A:")
    assert expected == render_prompt(made, ROW, [], chat=True)


def test_multiturn_strips_the_prefix_describes_once_and_joins_with_one_space(task):
    made = task(**{"description": "{{ subtask }}. ", "final_description": "\nGo.", "format.assistant_prefix": "A:"})
    prompt = render_prompt(made, ROW, SHOTS, chat=True)
    assert prompt == ChatPrompt(
        (
            Message("user", "sums. Q: 2+2\nGo."),
            Message("assistant", "A: 4"),
            Message("user", "Q: 3+3\nGo."),
            Message("assistant", "A: 6"),
            Message("user", "Q: 1+1\nGo."),
        ),
        "A:",
    )


def test_singleturn_joins_exemplars_with_blank_lines_and_keeps_their_white_space(task):
    made = task(**{"description": "Sums. ", "format.fewshot": "singleturn"})
    prompt = render_prompt(made, ROW, SHOTS, chat=True)
    assert prompt == ChatPrompt((Message("user", "Sums. Q: 2+2\nA: 4 \n\nQ: 3+3\nA: 6\n\nQ: 1+1\nA:"),))


def test_singleturn_strips_the_prefix_of_the_open_question_only(task):
    made = task(final_description="\nGo.", format={"fewshot": "singleturn", "assistant_prefix": "A:"})
    prompt = render_prompt(made, ROW, SHOTS[1:], chat=True)
    assert prompt == ChatPrompt((Message("user", "Q: 3+3\nA: 6\n\nQ: 1+1\nGo."),), "A:")


def test_raw_text_is_the_single_turn_followed_by_the_prefix(task):
    made = task(**{"format.chat": False, "format.assistant_prefix": " Sum:"})
    assert TextPrompt("Q: 2+2\nA: 4 \n\nQ: 3+3\nA: 6\n\nQ: 1+1\nA: Sum:") == render_prompt(made, ROW, SHOTS, chat=True)


def test_a_model_without_template_gets_the_same_turns_as_raw_text_with_the_prefix_once(task):
    made = task(**{"format.assistant_prefix": "A:"})
    assert TextPrompt("Q: 3+3\nA: 6\n\nQ: 1+1\nA:") == render_prompt(made, ROW, SHOTS[1:], chat=False)


def test_exemplars_may_have_their_own_columns(task):
    made = task(fewshot={"shots": 1, "source": "split:train", "prompt": "{{ q }}?", "target": "{{ a }}!"})
    prompt = render_prompt(made, ROW, [{"q": "x", "a": "y"}], chat=True)
    assert prompt.messages[:2] == (Message("user", "x?"), Message("assistant", "y!"))


def test_continuations_get_their_separating_space_once_and_none_as_a_whole_turn(task):
    made = task(continuations="{{ ['2', ' 3'] }}")
    turn = Message("user", "?")
    for prompt in (TextPrompt("?"), ChatPrompt((turn,), "Answer:")):
        assert render_continuations(made, ROW, prompt) == (" 2", " 3")
    assert render_continuations(made, ROW, ChatPrompt((turn,))) == ("2", "3")


def test_templates_keep_every_space_and_the_value_of_a_single_expression():
    assert render_text("  {{ a }} \n\n", {"a": "x\n"}, "t") == "  x\n \n\n"
    assert render_value("{{ a }}", {"a": [1, {"b": None}]}, "t") == [1, {"b": None}]
    assert render_value("{{ a }}{{ a }}", {"a": 1}, "t") == "11"
    assert render_value(" {{ a }}", {"a": 1}, "t") == " 1"


NAMES = [
    "a",
    "in",
    "range",
    "loop",
    "caller",
    "self",
    "not",
    "none",
    "true",
    "None",
    "True",
    "_a",
    "a1",
    "a b",
    "\u00e9",
]
PIECES = [
    "{{ a }}",
    "{{a}}",
    "{{- a -}}",
    "{{ a",
    "}}",
    "{",
    "}",
    " ",
    "\n",
    "\r",
    "\r\n",
    "{% if a %}",
    "{% endif %}",
    "{# a #}",
    "x",
]


def jinja(template, row):
    """Return what Jinja itself makes of a template, or the kind of its error."""
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    try:
        return environment.from_string(template).render(row)
    except TemplateError:
        return InvalidTask


def rendered(render, template, row):
    try:
        return render(template, row, "t")
    except InvalidTask:
        return InvalidTask


@given(
    template=st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    value=st.sampled_from(["v", "{{ a }}\r\n", "", 5, None]),
)
def test_short_cuts_render_what_jinja_does(template, value):
    for row in ({"a": value}, {}):
        assert rendered(render_text, template, row) == jinja(template, row)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", ["{{{{ {} }}}}", "{{{{{}}}}}", "{{{{- {} -}}}}", "{{{{ {} }}}}\n"])
def test_a_name_alone_is_what_jinja_takes_it_for(template, name):
    row = {name: "v"}
    assert rendered(render_text, template.format(name), row) == jinja(template.format(name), row)
    assert str(rendered(render_value, template.format(name), row)) == str(jinja(template.format(name), row))


@pytest.mark.parametrize("template", ["{{ qestion }}", "{{ qestion }} and more", "{{ qestion | upper }}"])
def test_a_missing_column_names_file_key_and_nearest(template):
    with pytest.raises(InvalidTask, match=r"mine.toml: prompt: .*no column 'qestion': did you mean question"):
        render_value(template, {"question": "x"}, "mine.toml: prompt")


def test_a_broken_template_and_an_unsafe_one_are_refused():
    with pytest.raises(InvalidTask, match=r"t: "):
        render_text("{{ a ", {"a": 1}, "t")
    with pytest.raises(InvalidTask):
        render_value("{{ a.__class__.__mro__ }}", {"a": 1}, "t")


def test_a_dictionary_target_keeps_types(task):
    made = task(target={"tests": "{{ answer }}", "more": "{{ [answer] }}"})
    assert render_target(made, ROW) == {"tests": "2", "more": ["2"]}


def test_an_expression_that_does_not_fit_its_row_is_a_clear_error():
    with pytest.raises(InvalidTask, match=r"mine: prompt: .*str"):
        render_text("{{ question + 1 }}", {"question": "1+1"}, "mine: prompt")
    with pytest.raises(InvalidTask, match="division"):
        render_value("{{ 1 / zero }}", {"zero": 0}, "mine: target")


def test_whitespace_control_is_no_minus_and_a_stream_is_a_list():
    assert render_value("{{- answer -}}", {"answer": 5}, "mine: target") == 5
    assert render_value("{{ -answer }}", {"answer": 5}, "mine: target") == -5
    assert render_value("{{ words | map('upper') }}", {"words": ["a", "b"]}, "mine: target") == ["A", "B"]
