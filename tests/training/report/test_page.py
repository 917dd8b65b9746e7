from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from evalsuite.training.folder import TrainingFolder
from evalsuite.training.report import write_report
from evalsuite.training.report.charts import Line, line_chart


class Page(HTMLParser):
    """What a reader gets: the text, and everything a browser would fetch."""

    def __init__(self, html):
        super().__init__()
        self.text, self.fetched, self.tags = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]

    def handle_data(self, data):
        self.text.append(data)


#: As it is while a run goes on; a finished one has more.
BEGUN = {
    "name": "demo/ppo",
    "recipe_hash": "abc",
    "data_hash": "def",
    "recipe": {
        "title": "Demo model, PPO",
        "stage": "ppo",
        "init": "demo",
        "seed": 1,
        "data": {"rows": 2000},
        "training": {"batch_size": 128},
    },
}
PROVENANCE = BEGUN | {
    "sources": ["generator demo_prompts"],
    "lineage": [{"model": "demo", "name": "demo/sft"}],
    "rewards": [{"verifier": "exact_match"}],
    "decontamination": {"checked": {}, "unchecked": {"gsm8k": "no network"}, "override": "it is a test"},
    "steps": 60,
    "final_loss": 0.5,
    "weights_of": {"step": 30, "development_score": 0.75},
}


@pytest.fixture
def folder(tmp_path):
    steps = [
        {"step": n, "steps": 60, "loss": 2 / n, "seconds": n, "reward": n / 60, "solved": {"exact": n / 60}}
        for n in range(1, 61)
    ]
    steps[29]["evaluation"] = {"demo_strings": 0.5}
    steps[59]["evaluation"] = {"demo_strings": 0.75}
    samples = [
        {"step": step, "prompt": [{"role": "user", "content": "Largest of 1 2?"}], "completion": text, "reward": 1.0}
        for step, text in ((1, "<script>alert(1)</script>"), (60, "2"))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    (tmp_path / "best.json").write_text(json.dumps({"step": 60, "score": 0.75}))
    (tmp_path / "provenance.json").write_text(json.dumps(PROVENANCE))
    return TrainingFolder(tmp_path)


def test_the_page_stands_on_its_own(folder):
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert page.fetched == []
    assert "link" not in page.tags


def test_the_page_shows_curves_scores_and_completions(folder):
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    text = " ".join(page.text)
    for wanted in (
        "Demo model, PPO",
        "demo/ppo",
        "finished",
        "2,000 from generator demo_prompts, def",
        "exact_match",
        "demo/sft",
        "accepted: it is a test",
        "of step 30, which had the best mean development score (0.750)",
        "Loss",
        "Reward",
        "Share solved",
        "60 of 60",
        "50.0",
        "75.0",
        "(best)",
        "Largest of 1 2?",
    ):
        assert wanted in text
    assert page.tags.count("svg") == 4  # loss, reward, solved, evaluation


def test_what_a_model_says_is_text_and_never_markup(folder):
    html = write_report(folder).read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_a_run_that_has_only_begun_has_a_page_too(tmp_path):
    page = write_report(TrainingFolder(tmp_path)).read_text(encoding="utf-8")
    assert "unfinished" in page
    (tmp_path / "run.json").write_text(json.dumps(BEGUN))
    page = write_report(TrainingFolder(tmp_path)).read_text(encoding="utf-8")
    assert "unfinished" in page and "abc, seed 1" in page


def test_what_several_rewards_say_of_a_completion_stands_beside_it(folder):
    rows = [
        {"step": 1, "prompt": "p", "completion": text, "reward": reward, "by": by}
        for by, rewards in (("exact", (1.0, 0.0)), ("occurs", (0.5, None)))
        for text, reward in zip(("one", "two"), rewards, strict=True)
    ]
    folder.samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = Page(write_report(folder).read_text(encoding="utf-8")).text
    assert [cell for cell in text if "exact " in cell] == ["exact 1.00, occurs 0.50", "exact 0.00, occurs –"]
    assert text.count("one") == text.count("two") == 1


def test_names_are_text_and_no_formulas():
    """A name such as this one is no mathematics that matplotlib could read."""
    assert "exact $x^$" in line_chart("Share solved", [Line("exact $x^$", [1, 2], [0.1, 0.2])])


def test_a_curve_leaves_out_what_is_no_number_and_is_drawn_the_same_every_time():
    line = Line.of("", [(1, 1.0), (2, float("nan")), (3, 3.0)])
    assert line.x == [1, 3]
    first, second = (line_chart("Loss", [line]) for _ in range(2))
    assert first == second
    assert re.match(r"<svg ", first)


def test_what_a_stage_measures_beside_has_charts_of_its_own(folder):
    """Times share one; what never changes has none."""
    before = Page(write_report(folder).read_text(encoding="utf-8")).tags.count("svg")
    steps = [
        {
            "step": n,
            "steps": 2,
            "loss": 1.0,
            "seconds": n,
            "more": {"ratio": n, "beta": 5, "seconds/a": n, "seconds/b": 1},
        }
        for n in (1, 2)
    ]
    folder.metrics.write_text("".join(json.dumps(step) + "\n" for step in steps))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "Seconds a step" in page.text
    assert "ratio" in page.text
    assert "beta" not in page.text
    assert page.tags.count("svg") == 3 < before  # loss, ratio, seconds
