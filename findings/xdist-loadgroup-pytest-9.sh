#!/usr/bin/env bash
# pytest-xdist 3.8.0 with pytest 9.2.0: `--dist loadgroup` ignores the mark `xdist_group`.
#
# Expected: all tests of a group run on one worker, as xdist's documentation says, and as they do
# with pytest 8.4.2. A session fixture of a group (a served app, a browser) is then built once.
# Seen: with pytest 9.2.0 no warning, no error, and the tests of the group are spread over the
# workers. xdist appends "@GROUP" to the ids of tests when it collects them; that change does not
# reach the id which its scheduler sees.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > test_first.py <<'PY'
import os

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("k", range(6))
def test_where_it_runs(k, worker_id):
    with open(os.environ["WORKERS"], "a") as file:
        file.write(worker_id + "\n")
PY
cp test_first.py test_second.py

workers() { # VERSION OF PYTEST -> how many workers ran tests of the group
  python3 -m venv "venv-$1"
  "venv-$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
  WORKERS="$work/workers-$1" "venv-$1/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadgroup >&2
  sort -u "workers-$1" | wc -l
}

before=$(workers 8.4.2)
now=$(workers 9.2.0)
echo "pytest 8.4.2, xdist 3.8.0: tests of one group ran on $before worker(s)"
echo "pytest 9.2.0, xdist 3.8.0: tests of one group ran on $now worker(s)"
[ "$before" -eq 1 ] && [ "$now" -eq 2 ]
