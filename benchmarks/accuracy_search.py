"""The search for settings where tastemaker.tune does not do: the same for models of other libraries as for ours."""

from collections.abc import Callable, Mapping
from typing import Any

from tastemaker.evaluation.search_spaces import Space


def search(
    label: str,
    space: Space,
    value: Callable[[dict[str, Any]], float],
    trials: int,
    first: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], float]:
    """The settings with the highest ``value`` (a figure on validation data) in so many trials, by Optuna's TPE with one seed.

    ``first`` are settings to begin with.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    if first is not None:
        study.enqueue_trial(dict(first))
    for number in range(trials):
        trial = study.ask()
        settings = {name: where.suggest(trial, name) for name, where in space.items()}
        reached = value(settings)
        study.tell(trial, reached)
        print(f"{label}, trial {number + 1}: {reached:.4f} with {settings}", flush=True)
    return study.best_params, study.best_value


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings for a cell of a table."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in settings.items()
    )
