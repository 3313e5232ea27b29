"""Which model can see what: effects of order 1, 2 and 3 and a niche, planted in an app store and looked for in six models.

    python examples/orders_of_interaction/run.py [orders.png]

Every effect is measured in log-odds, as a difference of differences of what a model predicts: of order 1, night less day; of
order 2, how much more that is for one kind of app than for others; of order 3, how much more that again is for one group of
people. A model without terms of order 3 shows none, however well it fits otherwise. 1 means: all that was planted.

Orders 1 to 3 are looked for in newcomers, who have not been shown anything yet: of people that it knows, any model with their ids
can learn one taste after another by heart. The niche is looked for in its own dozen people, each shown the app three times.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from world import MEALS, NIGHT, PLANTED, World, make

from tastemaker import DeepFM, FactorizationMachine, WideAndDeep
from tastemaker.models.neural.ctr import ClickModel
from tastemaker.models.neural.specs import Categorical, Cross, FeatureSpec, Id

PAIRS = 4000  # predictions behind each mean
ABOUT_PEOPLE = ("gender", "age", "city", "passport")
SPEC = FeatureSpec(
    user=tuple(Categorical(name) for name in ABOUT_PEOPLE),
    item=(Id("item"), Categorical("kind")),
    context=(Categorical("hour"),),
    crosses=(
        Cross("context.hour", "item.kind"),
        Cross("user.gender", "item.kind"),
        Cross("user.age", "item.kind"),
        Cross(*(f"user.{name}" for name in ABOUT_PEOPLE), "item.id"),
    ),
)
IDS = FeatureSpec(user=(Id("user"),), item=(Id("item"),))


def models() -> dict[str, ClickModel]:
    """The models by what to call them. A factorization machine of nothing but two ids is matrix factorization with biases."""
    common: dict[str, Any] = {"factors": 8, "epochs": 12, "batch_size": 2048}
    featured: dict[str, Any] = {"features": SPEC, **common}
    deep: dict[str, Any] = {**featured, "hidden": (64, 32)}
    return {
        "matrix factorization": FactorizationMachine(features=IDS, **common),
        "factorization machine": FactorizationMachine(learning_rate=5e-3, **featured),
        "wide only": WideAndDeep(part="wide", **deep),
        "deep only": WideAndDeep(part="deep", **deep),
        "Wide & Deep": WideAndDeep(**deep),
        "DeepFM": DeepFM(learning_rate=3e-3, **deep),
    }


class Looker:
    """Asks a fitted model for mean log-odds over groups of people, apps and hours."""

    def __init__(self, model: ClickModel, world: World) -> None:
        self.model, self.world = model, world
        gender, age = world.people["gender"].to_numpy(), world.people["age"].to_numpy()
        self.male, self.teen = gender == "male", age == "13-17"
        self.kind = world.apps["kind"].to_numpy()
        self.night = np.isin(np.arange(24), NIGHT)
        self.meal = np.isin(np.arange(24), MEALS)

    def mean(self, people: NDArray[np.bool_], apps: NDArray[np.bool_], hours: NDArray[np.bool_]) -> float:
        """The mean log-odds over random members of these groups."""
        rng = np.random.default_rng(1)
        person, app, hour = (rng.choice(np.flatnonzero(group), PAIRS) for group in (people, apps, hours))
        names = self.world.apps["app"].to_numpy()[app].tolist()
        chance = self.model.predict(person.tolist(), names, context=pl.DataFrame({"hour": hour}))
        chance = np.clip(chance.astype(np.float64), 1e-6, 1 - 1e-6)
        return float(np.log(chance / (1 - chance)).mean())

    def effects(self) -> Iterator[tuple[str, float]]:
        """Each planted effect in log-odds, as the model has it."""
        new = self.world.newcomers
        usual = ~np.isin(self.kind, ["food", "shooter", "karaoke"])
        food, shooter, karaoke = (self.kind == kind for kind in ("food", "shooter", "karaoke"))
        neither = ~self.night & ~self.meal
        yield "night", self.mean(new, usual, self.night) - self.mean(new, usual, neither)

        def at_meals(apps: NDArray[np.bool_]) -> float:
            return self.mean(new, apps, self.meal) - self.mean(new, apps, neither)

        yield "meal × food", at_meals(food) - at_meals(usual)

        def boys_to_girls(age: NDArray[np.bool_], apps: NDArray[np.bool_]) -> float:
            boys, girls = (self.mean(new & age & sex, apps, neither) for sex in (self.male, ~self.male))
            return boys - girls

        def of_boys(apps: NDArray[np.bool_]) -> float:
            return boys_to_girls(self.teen, apps) - boys_to_girls(~self.teen, apps)

        yield "male × teen × shooter", of_boys(shooter) - of_boys(usual)

        def of_niche(apps: NDArray[np.bool_]) -> float:
            return self.mean(self.world.in_niche, apps, neither) - self.mean(new, apps, neither)

        yield "niche", of_niche(karaoke) - of_niche(usual)


def recovered(world: World) -> pl.DataFrame:
    """A row for each model and effect, with the share of what was planted that the model has."""
    rows = []
    for name, model in models().items():
        looker = Looker(model.fit(world.data), world)
        rows += [{"model": name, "effect": e, "recovered": size / PLANTED[e]} for e, size in looker.effects()]
    return pl.DataFrame(rows)


def plot(found: pl.DataFrame, path: Path) -> None:
    """A panel for each effect, a bar for each model."""
    import altair as alt

    titles = {
        "night": "Order 1: more installs at night",
        "meal × food": "Order 2: food delivery at meal times",
        "male × teen × shooter": "Order 3: shooters for male teenagers",
        "niche": "Niche: a dozen people and one karaoke app",
    }
    table = found.with_columns(
        pl.col("effect").replace(titles),
        shown=pl.col("recovered").clip(0, 1.2),
        text=pl.format("{} %", (100 * pl.col("recovered")).round().cast(pl.Int64)),
    )
    model = alt.Y("model:N", title=None, sort=list(models()), axis=alt.Axis(labelFontSize=12))
    share = alt.X(
        "shown:Q",
        title="share of the planted effect that the model has",
        scale=alt.Scale(domain=[0, 1.35]),
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    seen = alt.condition("datum.recovered > 0.5", alt.value("#2f6db3"), alt.value("#b9c4d0"))
    bars = alt.Chart(table).mark_bar(height=14).encode(x=share, y=model, color=seen)
    figures = alt.Chart(table).mark_text(align="right", fontSize=11)
    figures = figures.encode(x=alt.datum(1.33), y=model, text="text:N")
    planted = alt.Chart(table).mark_rule(strokeDash=[4, 4]).encode(x=alt.datum(1))
    chart = alt.layer(bars, planted, figures).properties(width=300, height=140)
    title = alt.TitleParams(
        "Which model can see what",
        subtitle=[
            "Effects planted in an app store, as far as the models have found them; dashed: all of it, dark: more than half.",
            "Orders 1 to 3 in people the models have never seen, by their features; the niche in its own people.",
            "The wide part has crosses of hour, gender and age with the kind of app, and of a whole person with the app.",
        ],
        fontSize=17,
        offset=14,
    )
    facet = alt.Facet("effect:N", title=None, sort=list(titles.values()), header=alt.Header(labelFontSize=13))
    chart.facet(facet=facet, columns=2).properties(title=title).save(str(path), scale_factor=1.5)


def main(path: Path) -> pl.DataFrame:
    """Fit, look, print and plot."""
    found = recovered(make())
    table = found.pivot("effect", index="model", values="recovered")
    with pl.Config(float_precision=2, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(table)
    plot(found, path)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "orders_of_interaction.png"))
