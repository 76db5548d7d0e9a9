"""What is declared to the embedded broker."""

from templates.home.embedded import declaration


def test_all_that_parameters_name_is_declared() -> None:
    """A topic and a subscription for each id, once; templates of topics are none."""
    found = declaration(
        {
            "subscription": "projects/p/subscriptions/in",
            "output_topic": "projects/p/topics/out",
            "again": "projects/p/topics/in",
            "routed": "projects/p/topics/{attribute:kind}",
            "dead_letter": "./projects/p/topics/none",
        }
    )
    assert found == {
        "topics": [{"name": "projects/p/topics/in"}, {"name": "projects/p/topics/out"}],
        "subscriptions": [
            {"name": "projects/p/subscriptions/in", "topic": "projects/p/topics/in"},
            {"name": "projects/p/subscriptions/out", "topic": "projects/p/topics/out"},
        ],
    }


def test_parameters_that_name_nothing_declare_nothing() -> None:
    """As those of a compaction."""
    assert declaration({"lake": "./lake"}) == {"topics": [], "subscriptions": []}
