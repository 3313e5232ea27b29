"""What comes in and what goes out under ``/v1``: the bodies, with what they mean and an example of each."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from tastemaker.errors import DataError
from tastemaker.service.store.values import to_json

__all__ = [
    "BatchLine",
    "BatchRequest",
    "ErasedUser",
    "EventIn",
    "EventsRequest",
    "EventsResponse",
    "Found",
    "Health",
    "HistoryEntry",
    "ItemIn",
    "ItemOut",
    "Meta",
    "ModelVersion",
    "ModelsResponse",
    "RankRequest",
    "RecommendationRequest",
    "RecommendationResponse",
    "Recommended",
    "Rejected",
    "UserIn",
    "UserOut",
    "Written",
]

Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(examples=["alice"]),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*$")
]
Context = dict[Annotated[str, StringConstraints(max_length=64)], JsonValue]


def _fits_the_log(context: dict[str, Any]) -> dict[str, Any]:
    try:
        to_json(context, "context")
    except DataError as error:
        raise ValueError(str(error)) from error
    return context


Kept = Annotated[Context, AfterValidator(_fits_the_log)]
Kind = Literal["impression", "click", "view", "dwell", "cart", "purchase", "rating", "like", "dismiss"]
Source = Literal["also_bought", "similar", "trending", "new"]


class _Body(BaseModel):
    """A body that comes in: what it does not know is an error, so that a misspelt name is not silently ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class HistoryEntry(_Body):
    """One interaction of a session that the service need not know."""

    item_id: Id
    weight: float = Field(1.0, gt=0, le=1000, description="How much it counts.")
    time: int | None = Field(
        None,
        ge=0,
        description="Microseconds since 1970, UTC. Where all have one, they are put in this order.",
    )


class _Wish(_Body):
    surface: Name = Field("home", description="Where the list is shown; kept with the decision.")
    user_id: Id | None = Field(
        None, description="Who it is for; an unknown one is answered as a new visitor."
    )
    history: list[HistoryEntry | Id] | None = Field(
        None,
        max_length=1000,
        description="What this session has done, oldest first; item ids alone count as liked.",
    )
    context: Kept = Field(default_factory=dict, max_length=50)
    filter: str | None = Field(
        None,
        max_length=1000,
        description="A condition on the items' features in SQL. Where it is null, the item is left out.",
        examples=["year >= 2010 AND price < 10"],
    )
    exclude: list[Id] = Field(
        default_factory=list, max_length=10_000, description="Items that must not be shown."
    )
    exclude_seen: bool = Field(
        True, description="Leave out what the user has had. Dismissed items are always left out."
    )
    diversify: float | None = Field(None, ge=0, le=1, description="How far to trade score for variety (MMR).")
    caps: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        None,
        max_length=10,
        description="The most items that share a value of a feature.",
        examples=[{"genres": 3}],
    )
    explore: bool = Field(
        True, description="Whether the policy may explore; without, the best list is given."
    )
    explain: bool = Field(False, description="With a reason for each item.")


class RecommendationRequest(_Wish):
    """A list to fill."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "alice", "k": 10, "surface": "home", "explain": True},
                {"history": ["squid-game", "the-crown"], "k": 5, "filter": "year >= 2010"},
                {"seed_items": ["squid-game"], "k": 5},
            ]
        }
    )

    k: int = Field(10, ge=1, le=200, description="How many items.")
    seed_items: list[Id] = Field(default_factory=list, max_length=100, description="Items to be similar to.")
    source: Source | None = Field(
        None,
        description="One source for the whole list; by default the policy joins all of them. The first two need seeds.",
    )


class RankRequest(_Wish):
    """Candidates of one's own to put in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user_id": "alice", "items": ["squid-game", "the-crown", "the-office"]}]
        }
    )

    items: list[Id] = Field(min_length=1, max_length=2000, description="The candidates.")
    k: int | None = Field(
        None, ge=1, le=2000, description="How many of them; by default all that may be shown."
    )


class BatchRequest(_Body):
    """Lists for many users at once, such as for a mail to each. Nothing is logged, nothing is explored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["alice", "bob"], "k": 10}]})

    user_ids: list[Id] = Field(min_length=1, max_length=100_000)
    k: int = Field(10, ge=1, le=200)
    filter: str | None = Field(None, max_length=1000)


class Recommended(BaseModel):
    """One slot of a list."""

    item_id: str
    rank: int
    score: float | None
    source: str = Field(description="What brought the item up.")
    role: Literal["exploit", "explore", "pinned"]
    propensity: float = Field(
        description="The probability of this item in this slot, given the slots above it."
    )
    reason: str | None = None
    title: str | None = None


class Meta(BaseModel):
    """How the list came about."""

    model: str
    policy: str
    policy_version: str
    log_probability: float
    shortfall: str | None = Field(description="Why the list is shorter than asked for.")
    degraded: list[str] = Field(description="Parts that were left out or served from memory.")
    feature_age: float | None = Field(description="Seconds since the user's row was read.")
    feature_expired: bool
    unknown: int = Field(
        description="How many ids in the history and the seeds are unknown and were left out."
    )
    took_ms: float


class RecommendationResponse(BaseModel):
    """A list, and the id under which it is logged."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "5f3c6a0e0f6d4b6f9d4a3a1b2c3d4e5f",
                    "items": [
                        {
                            "item_id": "squid-game",
                            "rank": 1,
                            "score": 0.94,
                            "source": "personal",
                            "role": "exploit",
                            "propensity": 0.95,
                            "reason": "because you liked The Last Player",
                            "title": "Squid Game",
                        }
                    ],
                    "meta": {
                        "model": "v0001",
                        "policy": "home",
                        "policy_version": "1",
                        "log_probability": -0.051,
                        "shortfall": None,
                        "degraded": [],
                        "feature_age": 0.4,
                        "feature_expired": False,
                        "unknown": 0,
                        "took_ms": 3.1,
                    },
                }
            ]
        }
    )

    recommendation_id: str
    items: list[Recommended]
    meta: Meta


class BatchLine(BaseModel):
    """One user's list, one line of the answer to a batch."""

    user_id: str
    items: list[str]
    shortfall: str | None


class EventIn(_Body):
    """Something that somebody did with an item."""

    event_id: Id = Field(
        description="Chosen by the sender. The same id counts once, so that sending again is safe."
    )
    user_id: Id
    item_id: Id
    kind: Kind
    time: int | None = Field(
        None, ge=0, description="Microseconds since 1970, UTC; by default the time of arrival."
    )
    value: float | None = Field(
        None, description="A rating; the share completed of a view, 0 to 1; seconds of a dwell; a quantity."
    )
    recommendation_id: Id | None = Field(None, description="The list in which the item was shown.")
    slot: int | None = Field(None, ge=0, le=10_000, description="Where in that list, from 0.")
    session_id: Id | None = None
    context: Context = Field(default_factory=dict, max_length=50)


class EventsRequest(_Body):
    """One event or up to 10,000. Each is accepted or rejected on its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "event_id": "0b9f2c1e",
                            "user_id": "alice",
                            "item_id": "squid-game",
                            "kind": "view",
                            "value": 0.8,
                            "recommendation_id": "5f3c6a0e0f6d4b6f9d4a3a1b2c3d4e5f",
                            "slot": 0,
                        }
                    ]
                }
            ]
        }
    )

    events: list[EventIn] = Field(max_length=10_000)


class Rejected(BaseModel):
    """An event or a row that cannot be kept."""

    index: int
    reason: str


class EventsResponse(BaseModel):
    """What became of the events; those accepted are on disk."""

    accepted: int
    duplicates: list[int] = Field(description="Which were here already.")
    rejected: list[Rejected]


class ItemIn(_Body):
    """What is known of an item. Its first value gives a feature its type: number, truth, text, list of texts, or time (ISO 8601).

    ``available_from`` and ``available_until`` are times, of UTC unless they name a zone, that say when it may be shown.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"features": {"title": "Squid Game", "genres": ["thriller", "drama"], "year": 2021}}]
        }
    )

    features: dict[Name, JsonValue] = Field(default_factory=dict, max_length=200)


class UserIn(_Body):
    """What is known of a user."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"features": {"age": 29, "country": "KR"}}]})

    features: dict[Name, JsonValue] = Field(default_factory=dict, max_length=200)


class Written(BaseModel):
    """What became of rows; those written are on disk."""

    written: int
    rejected: list[Rejected] = Field(default_factory=list)


class ItemOut(BaseModel):
    """An item as it is kept."""

    item_id: str
    features: dict[str, Any]


class Found(BaseModel):
    """Items that a search found."""

    items: list[ItemOut]


class UserOut(BaseModel):
    """A user as they are kept."""

    user_id: str
    features: dict[str, Any]


class ErasedUser(BaseModel):
    """How many rows of a user were removed, and what is not removed by that."""

    events: int
    decisions: int
    users: int
    note: str


class ModelVersion(BaseModel):
    """One saved version of the models."""

    version: str
    models: list[str]
    serving: bool
    saved: str


class ModelsResponse(BaseModel):
    """The saved versions, newest first."""

    versions: list[ModelVersion]


class Health(BaseModel):
    """Whether the service does its work."""

    status: Literal["ok", "degraded"]
    degraded: list[str] = Field(default_factory=list)
