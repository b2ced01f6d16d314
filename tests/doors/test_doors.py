"""Every door answers every request as it was recorded."""

import json

import pytest

from tests.doors import cases, doors
from tests.doors.answers import machine
from tests.doors.compare import differences
from tests.doors.record import GOLDEN, answer_of

GOLDENS = json.loads(GOLDEN.read_text())
REQUESTS = [(door, name) for door, requests in cases.DOORS.items() for name in requests]
REQUESTS += [(door, name) for door, requests in cases.DECIDED.items() for name in requests]


@pytest.fixture(scope="module", autouse=True)
def product():
    with doors.sandbox():
        yield


@pytest.mark.parametrize(("door", "name"), REQUESTS)
def test_the_answer_is_the_recorded_one(door, name):
    case = (cases.DOORS[door] | cases.DECIDED.get(door, {}))[name]
    recorded = GOLDENS["doors"][door].get(name, {}) | GOLDENS["decided"][door].get(name, {})
    found = differences(recorded, answer_of(case), GOLDENS["machine"] == machine())
    assert list(found) == []


def test_every_recorded_answer_is_asked_for():
    kinds = (GOLDENS["doors"], GOLDENS["decided"])
    there = {(door, name) for kind in kinds for door, answers in kind.items() for name in answers}
    assert there == set(REQUESTS)
