"""A component says everything about itself in its signature, a user's own like ours."""

import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
from typing import Annotated

import pandas as pd
import pytest

from dlkeras.pipeline import (
    Artifact,
    ComponentConfig,
    Draft,
    InKeyOf,
    NotInKey,
    PipelineConfig,
    Run,
    component,
)
from dlkeras.pipeline.artifacts.types import Schema, Statistics
from dlkeras.pipeline.components.schema_gen import schema_gen
from dlkeras.pipeline.configuration.config import COMPONENTS
from dlkeras.pipeline.engine.call import Services, call, code_of
from dlkeras.pipeline.engine.component import (
    components_of,
    names_of,
    with_sections,
)
from dlkeras.pipeline.engine.execution import Execution, Job
from dlkeras.pipeline.graph import standard
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.training import early_checks
from tests.conftest import ROOT, user_environment


class Counts(Artifact):
    """A number of an experiment."""


class CountGenConfig(ComponentConfig):
    """How it is counted."""

    digits: int = 3
    """digits of the number"""
    workers: NotInKey[int] = 1
    """processes that count"""
    rounds: Annotated[int, InKeyOf("Counts")] = 1
    """rounds of the count"""


@component(packages=(), cache="Round")
def count_gen(
    config: CountGenConfig,
    output: Draft[Counts],
    schema: Schema,
    statistics: Statistics | None,
    *,
    seed: int,
    say,
    work,
    times: int = 1,
) -> None:
    """Count."""
    say(f"{config.digits} digits, seed {seed}, {work.name[:6]}, {times} times")
    output.write_json("counts.json", seed)
    output.properties["number"] = 7


def published(store, kind, key="a"):
    arguments = {
        "key": key * 64, "producer": "X", "pipeline": "p", "config": {},
        "inputs": {}, "versions": {}, "run_id": "r",
    }  # fmt: skip
    with store.publish(kind, **arguments) as draft:
        (draft.path / "file.txt").write_text(key)
    return store.find(kind, key * 64)


@pytest.fixture
def execution(tmp_path, silent):
    return Execution(Store(tmp_path / "store"), "p", "r", silent)


def test_a_signature_says_name_configuration_inputs_and_output():
    assert count_gen.name == "CountGen" and count_gen.output is Counts
    assert dict(count_gen.inputs) == {"schema": Schema, "statistics": Statistics}
    assert count_gen.optional == {"statistics"}
    assert dict(count_gen.configs) == {"config": CountGenConfig}
    assert count_gen.others == ("seed", "say", "work", "times")
    assert count_gen.__doc__ == "Count." and count_gen.__name__ == "count_gen"


def test_the_standard_graph_names_every_component():
    found = components_of(standard)
    # The Evaluator also blesses; CrossValidator has the Trainer's section.
    assert {c.name for c in found} == {*COMPONENTS, "CrossValidator"}
    assert len(found) == len({c.output for c in found}) == len(COMPONENTS) + 2


def test_a_bulk_inferrer_of_the_users_own_stands_in_the_packages_place():
    @component()
    def bulk_inferrer(config: CountGenConfig, output: Draft[Counts]) -> None:
        """Answer."""

    config = PipelineConfig(name="mine")
    own = with_sections(config, [*components_of(standard), bulk_inferrer])
    assert type(own.bulk_inferrer) is CountGenConfig
    assert own.trainer == config.trainer
    assert early_checks.check(own).bulk_inferrer == CountGenConfig()

    @component()
    def trainer(config: CountGenConfig, output: Draft[Counts]) -> None:
        """Train."""

    with pytest.raises(TypeError, match="trainer: expected another name"):
        with_sections(config, [trainer])


def test_a_function_without_an_output_is_no_component():
    with pytest.raises(TypeError, match=r"nothing: expected .*`output: Draft\[X\]`"):

        @component
        def nothing(config: CountGenConfig) -> None:
            """Write nothing."""


def test_what_a_component_does_not_get_is_named(execution):
    schema = published(execution.store, Schema)
    statistics = published(execution.store, Statistics)
    config = PipelineConfig()
    with pytest.raises(TypeError, match="CountGen: expected Schema for `schema`; rec"):
        call(count_gen, (), config)
    with pytest.raises(TypeError, match="`schema`; received Statistics"):
        call(count_gen, (statistics,), config)
    with pytest.raises(TypeError, match=r"at most 2 artifacts .*; received 3"):
        call(count_gen, (schema, statistics, schema), config)

    @component
    def asks(output: Draft[Counts], *, nonsense: int) -> None:
        """Ask for what there is not."""

    with pytest.raises(TypeError, match=r"Asks: expected a field of .*'nonsense'"):
        call(asks, (), config)


def test_a_key_changes_with_each_thing_that_the_output_depends_on(execution):
    schema = published(execution.store, Schema)
    other = published(execution.store, Schema, "b")
    statistics = published(execution.store, Statistics)

    def key(*artifacts, asked=count_gen, seed=0, **fields):
        own = CountGenConfig(**fields)
        return call(asked, artifacts, PipelineConfig(seed=seed), own).key

    @component(packages=("keras",), cache="Round")
    def another(
        config: CountGenConfig,
        output: Draft[Counts],
        schema: Schema,
        statistics: Statistics | None,
        *,
        seed: int,
    ) -> None:
        """The same inputs, and a package more."""

    keys = [
        key(schema),
        key(other),
        key(schema, statistics),
        key(schema, seed=1),
        key(schema, digits=4),
        key(schema, rounds=2),
        key(schema, asked=another),
    ]
    assert len(set(keys)) == len(keys)
    assert key(schema) == keys[0]
    assert key(schema, workers=8) == keys[0]  # NotInKey


def test_a_piece_of_the_work_has_a_key_of_the_fields_that_it_depends_on(execution):
    schema = published(execution.store, Schema)

    def piece(**fields):
        own = CountGenConfig(**fields)
        return call(count_gen, (schema,), PipelineConfig(), own).key_of("Round")

    assert piece() == piece(rounds=2) == piece(workers=8) != piece(digits=4)


def test_what_is_asked_for_by_name_is_what_the_engine_has(execution, capsys):
    """Names of services stand in one place, and each of them is there."""
    schema = published(execution.store, Schema)
    asked = call(count_gen, (schema,), PipelineConfig(seed=5))
    assert asked.services == ("say", "work")
    services = Services(asked, execution.store, execution.observer, print, 2)
    for name in Services.NAMES:
        getattr(services, name)
    draft = Draft(execution.store.root)
    asked.write(draft, services)
    assert capsys.readouterr().out == "3 digits, seed 5, Counts, 1 times\n"


def test_components_that_share_a_type_of_configuration_have_sections_of_their_own():
    @component(packages=())
    def first_gen(config: CountGenConfig, output: Draft[Counts]) -> None:
        """Count."""

    @component(packages=())
    def second_gen(config: CountGenConfig, output: Draft[Counts]) -> None:
        """Count."""

    config = with_sections(PipelineConfig(), (first_gen, second_gen))
    fields = {
        name: getattr(config, name).model_copy(update={"digits": digits})
        for name, digits in (("first_gen", 5), ("second_gen", 7))
    }
    config = config.model_copy(update=fields)
    assert call(first_gen, (), config).configs["config"].digits == 5
    assert call(second_gen, (), config).configs["config"].digits == 7


def test_what_cannot_be_a_component_is_said_where_it_is_declared():
    with pytest.raises(TypeError, match="expected a configuration of its own for `con"):

        @component
        def all_of_it(config: PipelineConfig, output: Draft[Counts]) -> None:
            """Ask for the whole job."""

    @component
    def trainer(config: CountGenConfig, output: Draft[Counts]) -> None:
        """Take the name of another."""

    with pytest.raises(TypeError, match="trainer: expected another name of a compo"):
        with_sections(PipelineConfig(), (trainer,))


def test_a_graph_may_be_a_partial_function_or_an_object():
    def graph(run: Run, *, once: bool) -> None:
        run(count_gen)

    class Graph:
        def __call__(self, run: Run) -> None:
            run(count_gen)

    assert components_of(functools.partial(graph, once=True)) == (count_gen,)
    assert components_of(Graph()) == (count_gen,)


def test_code_that_is_edited_while_a_job_runs_is_not_in_its_key(
    tmp_path, monkeypatch, execution
):
    script = tmp_path / "edited_component.py"
    script.write_text(
        "from dlkeras.pipeline import Draft, component\n"
        "from dlkeras.pipeline.artifacts.types import Schema\n\n\n"
        "@component(packages=())\n"
        "def early_gen(output: Draft[Schema]) -> None:\n"
        "    output.write_json('number.json', 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    early_gen = importlib.import_module("edited_component").early_gen
    before = code_of(early_gen)

    def graph(run: Run) -> None:
        text = script.read_text()
        script.write_text(text.replace("json', 1", "json', 2"))
        run(early_gen)

    assert job(execution, graph)
    (step,) = execution.steps
    assert step.artifact.record.code == before != code_of(early_gen)
    sys.modules.pop("edited_component")


def job(execution, graph, until=None, force=(), **fields):
    config = with_sections(PipelineConfig(**fields), components_of(graph))
    execution.force = force
    run = Job(config, graph, execution.store, execution.progress, force, until)
    return run.carry_out(execution)


def test_a_graph_makes_reuses_forces_and_stops(execution):
    schema = published(execution.store, Schema)

    def graph(run: Run) -> None:
        first = run(count_gen, schema)
        assert run.artifact(Counts) is first and run.artifact(Schema) is None
        run(schema_gen, run.artifact(Statistics))

    def cached():
        return [step.cached for step in execution.steps]

    assert not job(execution, graph, until="CountGen")
    assert not job(execution, graph, until="CountGen")
    assert not job(execution, graph, until="CountGen", force=["CountGen"])
    assert cached() == [False, True, False]
    with pytest.raises(TypeError, match="SchemaGen: expected Statistics"):
        job(execution, graph)


def test_a_step_of_a_comparison_is_no_step_of_the_run(execution):
    schema = published(execution.store, Schema)

    def graph(run: Run) -> None:
        run(count_gen, schema, is_own=False)
        assert run.artifact(Counts) is None

    assert job(execution, graph, force=["CountGen"])
    assert execution.steps == []
    (found,) = execution.store.artifacts(Counts)
    assert job(execution, graph, force=["CountGen"])
    assert execution.store.artifacts(Counts)[0].record == found.record


def test_a_switched_off_component_gives_nothing_and_still_ends_a_run(execution):
    class OnOffConfig(ComponentConfig):
        """Whether it counts."""

        enabled: bool = False
        """count"""

    @component(packages=())
    def on_off(config: OnOffConfig, output: Draft[Counts]) -> None:
        """Count."""

    def graph(run: Run) -> None:
        assert run.if_enabled(on_off) is None
        run(schema_gen, None)

    assert not job(execution, graph, until="OnOff")


def test_the_sections_of_a_graphs_components_become_fields(tmp_path):
    def graph(run: Run) -> None:
        def inner() -> None:
            run(count_gen)

        inner()

    components = components_of(graph)
    assert components == (count_gen,)
    config = with_sections(PipelineConfig(seed=3, mlruns=tmp_path), components)
    assert config.count_gen == CountGenConfig() and config.seed == 3
    assert isinstance(config, PipelineConfig)
    assert with_sections(config, components) is config
    assert names_of(config, components) == (*COMPONENTS, "CountGen")


def test_every_public_parameter_of_a_component_comes_from_somewhere():
    """No parameter of ours is left to a caller that is not there."""
    for found in components_of(standard):
        known = {*PipelineConfig.model_fields, *Services.NAMES, "model_name"}
        assert set(found.others) <= known, found.name
        assert found.draft == list(inspect.signature(found.function).parameters)[1]


@pytest.mark.job
def test_the_pages_component_joins_a_whole_job(main_job, tmp_path):
    """The page is followed: its file is written, and its commands do what it says."""
    page = (ROOT / "docs/pipeline/new_component.md").read_text()
    (file,) = re.findall(r"```{literalinclude} (.*)", page)
    source = (ROOT / "docs/pipeline" / file).read_text()
    script = tmp_path / "digits_table.py"
    script.write_text(source)

    def start(*arguments):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=user_environment(),
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(*arguments):
        return start("digits_table.py", "--mlruns", str(main_job.mlruns), *arguments)

    def command(*arguments):
        where = ("--mlruns", str(main_job.mlruns))
        return start("-m", "dlkeras.cli", *arguments, *where)

    assert "--predictions-table.split" in start("digits_table.py", "--help")
    said = run()
    assert said.count(" reused ") == 11 and "PredictionsTable done in" in said
    (folder,) = (main_job.mlruns / "store/Predictions").iterdir()
    table = pd.read_parquet(folder / "predictions.parquet")
    (judged,) = (main_job.mlruns / "store/Evaluation").iterdir()
    metrics = json.loads((judged / "metrics.json").read_text())
    assert (table.label == table.answer).mean() == pytest.approx(metrics["accuracy"])
    assert len(table) == 359
    assert run("--predictions-table.batch-size", "7").count(" reused ") == 12
    script.write_text(source.replace('"""Write a row', '"""Write one row'))
    assert run().count(" reused ") == 12
    assert "PredictionsTable done in" in run("--force", "PredictionsTable")
    script.write_text(source.replace("rows=len(table)", "rows=len(table), more=1"))
    assert "PredictionsTable done in" in run()
    assert "code of __main__:predictions_table" in command(
        "why", "last", "PredictionsTable"
    )
    assert "Predictions" in command("status", "--verify")
    assert "PredictionsTable" in command("show", "last")
    command("gc", "--min-age", "0")
    from dlkeras.pipeline.tracking.database.connection import connect

    client = connect(None, main_job.mlruns)
    runs = client.search_runs(["1"], "metrics.`PredictionsTable/rows` = 359")
    assert len(runs) >= 2
