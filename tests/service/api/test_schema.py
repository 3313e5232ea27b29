"""The OpenAPI document against the service: requests made up from it never break anything."""

from typing import Any

import pytest

from service.conftest import Shop

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
hypothesis = pytest.importorskip("hypothesis")

_SETTINGS = hypothesis.settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    database=None,
    derandomize=True,
)


def test_no_request_that_the_document_allows_breaks_it(shop: Shop) -> None:
    document = shop.ask("GET", "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    seen: set[int] = set()
    for operation in operations:

        @_SETTINGS
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            sent = case.as_transport_kwargs(base_url="http://localhost")
            options = {
                name: sent[name]
                for name in ("params", "json", "data", "content")
                if sent.get(name) is not None
            }
            body = options.pop("json", None)
            if isinstance(options.get("data"), bytes):
                options["content"] = options.pop("data")
            headers = {str(k): str(v) for k, v in (sent.get("headers") or {}).items() if str(v).isascii()}
            answer = shop.ask(sent["method"], sent["url"], body, headers=headers, **options)
            assert answer.status_code < 500, (sent, answer.text)
            seen.add(answer.status_code)

        ask()
    assert {200, 422} <= seen
