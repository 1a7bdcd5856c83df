"""What targets ask for, and the attributes that a Role is compared with."""

from __future__ import annotations

import pytest
from fairlead.autoscale.requests import Attributes, Documents, Unknown, Values, read
from hypothesis import given
from hypothesis import strategies as st

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/apis", Documents()),
        ("/apis/", Documents()),
        ("/apis/custom.metrics.k8s.io", Documents("custom.metrics.k8s.io")),
        (CUSTOM, Documents("custom.metrics.k8s.io", "v1beta2")),
        (f"{EXTERNAL}?timeout=32s", Documents("external.metrics.k8s.io", "v1beta1")),
        ("/apis/external.metrics.k8s.io/v1beta2", Unknown(True)),
        ("/apis/custom.metrics.k8s.io/v2/namespaces/a/services/b/c", Unknown(True)),
        (f"{CUSTOM}/namespaces/a/services/b", Unknown(True)),
        (f"{CUSTOM}/namespaces/a/services//c", Unknown(True)),
        (f"{CUSTOM}/nodes/a/c", Unknown(True)),
        (f"{EXTERNAL}/namespaces/a/b/c", Unknown(True)),
        ("/apis/apps/v1", Unknown(False)),
        ("/openapi/v2", Unknown(False)),
        ("/openapi/v3", Unknown(False)),
        ("/", Unknown(False)),
    ],
)
def test_documents_and_what_is_none(target: str, asked: object) -> None:
    assert read(target)[0] == asked


def test_metrics_of_pods_as_the_controller_asks() -> None:
    asked, attributes = read(
        f"{CUSTOM}/namespaces/a/pods/%2A/m?labelSelector=app%3Db%2Cc+in+%28d%29&metricLabelSelector=e"
    )
    assert asked == Values(
        group="custom.metrics.k8s.io",
        version="v1beta2",
        namespace="a",
        metric="m",
        resource="pods",
        name="*",
        selector="app=b,c in (d)",
        metric_selector="e",
    )
    assert attributes == Attributes(
        verb="get",
        group="custom.metrics.k8s.io",
        version="v1beta2",
        namespace="a",
        resource="pods",
        subresource="m",
        name="*",
    )


def test_external_metrics_are_listed() -> None:
    """For these an API server asks for the verb `list` on a resource that has the metric's name."""
    asked, attributes = read(f"{EXTERNAL}/namespaces/a/m?labelSelector=service%3Db")
    assert asked == Values(
        group="external.metrics.k8s.io", version="v1beta1", namespace="a", metric="m", selector="service=b"
    )
    assert attributes == Attributes(
        verb="list", group="external.metrics.k8s.io", version="v1beta1", namespace="a", resource="m"
    )


def test_a_document_is_decided_by_its_path() -> None:
    assert read(f"{CUSTOM}?timeout=1s")[1] == Attributes(verb="get", path=CUSTOM)


@pytest.mark.parametrize(
    "target", ["apis", "*", f"{CUSTOM}/namespaces/a%2Fb/services/c/d", "/a%00b", "/%ff", "/" * 9000]
)
def test_broken_targets_are_refused(target: str) -> None:
    with pytest.raises(ValueError):
        read(target)


def test_a_query_of_many_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="fields"):
        read(f"{EXTERNAL}/namespaces/a/m?" + "a=b&" * 100)


@given(st.text(alphabet="/ap%2AisC?=&*.", max_size=60))
def test_any_target_is_read_or_refused(text: str) -> None:
    try:
        asked, attributes = read("/apis" + text)
    except ValueError:
        return
    assert isinstance(asked, Values) is not bool(attributes.path)
