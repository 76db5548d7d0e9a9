"""Faults over HTTP: ``POST /faults`` adds one, ``GET`` counts those to come, ``DELETE`` clears."""

from __future__ import annotations

from connectors.bigquery_local.faults import Fault, Faults
from connectors.bigquery_local.rest import Answer, Call, Route, route

__all__ = ["fault_routes"]


def fault_routes(faults: Faults) -> list[Route]:
    """Return the routes of the faults."""

    def add(call: Call) -> Answer:
        faults.add(Fault.from_json(call.json()))
        return Answer({"left": faults.left()})

    def left(_call: Call) -> Answer:
        return Answer({"left": faults.left()})

    def clear(_call: Call) -> Answer:
        faults.clear()
        return Answer({"left": 0})

    return [
        route("POST", "/faults", add),
        route("GET", "/faults", left),
        route("DELETE", "/faults", clear),
    ]
