"""`python -m tests.doors.record`: writes `golden.json` from the product as it is on the path.

With `--decided` only the answers change on which the doors disagreed when this was first recorded.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tests.doors import cases, doors
from tests.doors.answers import machine

GOLDEN = Path(__file__).parent / "golden.json"


def answer_of(case: cases.Case) -> dict[str, Any]:
    """The answer of a door to a request."""
    door, arguments = case
    return doors.DOORS[door](**arguments).as_dict()


def recorded() -> dict[str, Any]:
    """All answers, in the form of `golden.json`."""
    answers = {"doors": {}, "decided": {}}
    for door, requests in cases.DOORS.items():
        made = {name: answer_of(case) for name, case in requests.items()}
        late = {name: part for name, one in made.items() if (part := one.pop("decided", None))}
        later = {name: answer_of(case) for name, case in cases.DECIDED.get(door, {}).items()}
        answers["doors"][door] = made
        answers["decided"][door] = {name: {"decided": part} for name, part in late.items()} | later
    return {"machine": machine()} | answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decided", action="store_true", help='write the part "decided" alone')
    arguments, began = parser.parse_args(), time.perf_counter()
    with doors.sandbox():
        made = recorded()
    count = sum(map(len, made["doors"].values()))
    print(f"{count} requests in {time.perf_counter() - began:.1f} s on {made['machine']}")
    if arguments.decided:
        made = json.loads(GOLDEN.read_text()) | {"decided": made["decided"]}
    GOLDEN.write_text(text_of(made))


def text_of(made: dict[str, Any]) -> str:
    """JSON with one request a line."""
    parts = [f' "machine": {json.dumps(made["machine"])}']
    for kind in ("doors", "decided"):
        tables = []
        for door, answers in made[kind].items():
            lines = (
                f"   {json.dumps(name)}: {json.dumps(one, sort_keys=True)}"
                for name, one in answers.items()
            )
            tables.append(f"  {json.dumps(door)}: {{\n" + ",\n".join(lines) + "\n  }")
        parts.append(f' "{kind}": {{\n' + ",\n".join(tables) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
