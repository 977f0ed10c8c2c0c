"""What every stage of a run works with, opened once and closed whatever happens."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from ml_agent.assets import cache_home
from ml_agent.cli.experts import Asking, coder_at, exchange_with, note_usage
from ml_agent.cli.recipes import Recipe
from ml_agent.compute import Scheduler
from ml_agent.env import COMPACT_ACTIONS, Experiments, PromptStyle, ResultCache
from ml_agent.models.http import Exchange, Usage
from ml_agent.runtime import Stagehand
from ml_agent.sandbox import ColdBox, Snapshots, Tier, WarmEngine, box_for
from ml_agent.store import RunFolder, Store, versions
from ml_agent.tasks import Grader, PreparedTask


@dataclass(frozen=True, kw_only=True)
class Session:
    """One process at work in one run."""

    run: RunFolder
    recipe: Recipe
    store: Store
    grader: Grader
    snapshots: Snapshots
    stagehand: Stagehand
    tier: Tier
    exchange: Exchange | None = None
    """With the endpoint that plays and codes; None: the recipe has none, or it is not needed."""
    own: Mapping[str, PreparedTask] = field(default_factory=dict)
    """Tasks that lie in the run itself, by id; all others are found by their names."""

    def write_usage(self) -> Usage | None:
        """Note in the run what the endpoint was used for so far; None: there is none."""
        return None if self.exchange is None else note_usage(self.run, self.exchange)


@dataclass(frozen=True, kw_only=True)
class Machinery:
    """What plays and records attempts, whatever they are for."""

    store: Store
    grader: Grader
    snapshots: Snapshots
    stagehand: Stagehand
    engine: WarmEngine
    tier: Tier


@contextmanager
def working(
    run: RunFolder,
    recipe: Recipe,
    *,
    tier: Callable[[], Tier],
    cached: bool = True,
    asking: Asking | None = None,
    also: Mapping[str, Any] | None = None,
) -> Iterator[Session]:
    """Open a run for work.

    Args:
        run: The run.
        recipe: What is done in it.
        tier: How scripts are isolated, asked once the run may be worked in. No part of the run's
            configuration: it stands in every record.
        cached: Use results of experiments from the user's cache, and keep new ones there.
        asking: How the recipe's endpoint is asked; None: it is not.
        also: What else decides what is done; it stands in the run's configuration.

    Raises:
        UsageError: The run was made with another configuration, or is being worked in.
        NoIsolation: This machine cannot run agent code safely.
        StoreError: The run cannot be read or written.
    """
    opening = machinery(
        run,
        recipe.name,
        recipe.as_json() | dict(also or {}),
        tier=tier,
        cached=cached,
        workers=recipe.workers,
        style=recipe.style,
        offered=recipe.actions,
    )
    with opening as opened, _exchange(run, asking) as exchange:
        stagehand, expert = opened.stagehand, recipe.expert
        if exchange is not None:
            stagehand = replace(
                stagehand,
                coder=coder_at(expert, exchange),
                versions=stagehand.versions | {"endpoint": expert.url, "coder": expert.coder_name},
            )
        yield Session(
            run=run,
            recipe=recipe,
            store=opened.store,
            grader=opened.grader,
            snapshots=opened.snapshots,
            stagehand=stagehand,
            tier=opened.tier,
            exchange=exchange,
        )


def _exchange(run: RunFolder, asking: Asking | None) -> AbstractContextManager[Exchange | None]:
    return nullcontext() if asking is None else exchange_with(asking, run.ledger_path)


@contextmanager
def machinery(
    run: RunFolder,
    name: str,
    config: Mapping[str, Any],
    *,
    tier: Callable[[], Tier],
    cached: bool = True,
    workers: int = 0,
    style: PromptStyle = "compact",
    offered: Collection[str] = COMPACT_ACTIONS,
) -> Iterator[Machinery]:
    """Open a run for work of any kind; raises what `working` does.

    Args:
        run: The run.
        name: What is done in it.
        config: All that decides how it is done.
        tier: As for `working`.
        cached: As for `working`.
        workers: Experiments at the same time, at most; 0: as many as there is room for.
        style: Of prompts.
        offered: Names of the actions on offer.
    """
    with (
        run.working(name, config),
        nullcontext(tier()) as isolated,
        Grader() as grader,
        WarmEngine() as engine,
        ResultCache(cache_home() / "experiments") if cached else nullcontext() as cache,
        Scheduler(at_once=workers) as scheduler,
    ):
        made_by = versions() | {"isolation": isolated}
        snapshots = Snapshots(run.snapshots)
        store = Store(run.store_path)
        try:
            yield Machinery(
                store=store,
                grader=grader,
                snapshots=snapshots,
                stagehand=Stagehand(
                    box=lambda prepared: box_for(isolated, snapshots, engine, data=prepared.public),
                    experiments=Experiments(
                        grader,
                        snapshots,
                        cache=cache,
                        check_box=lambda prepared: ColdBox(
                            snapshots, data=prepared.public, tier=isolated
                        ),
                    ),
                    style=style,
                    offered=offered,
                    versions=made_by,
                    scheduler=scheduler,
                ),
                engine=engine,
                tier=isolated,
            )
        finally:
            store.close()
