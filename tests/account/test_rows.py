"""An immutable mapping: a changed copy is a mapping of its own."""

from __future__ import annotations

import pickle
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.account.rows import Rows
from tests.searching import any_text, examples


@examples(30)
@given(st.lists(st.tuples(any_text(max_size=3), st.none() | st.integers())))
def test_it_is_a_dict_that_is_copied_at_each_change(changes: list[tuple[str, int | None]]) -> None:
    """And no copy changes with another."""
    rows, known = Rows[str, int](), dict[str, int]()
    for key, value in changes:
        before, kept = rows, dict(rows)
        rows = rows.changed(key, value)
        known = {**known, key: value} if value is not None else {k: v for k, v in known.items() if k != key}
        assert (dict(rows), len(rows)) == (known, len(known))
        assert dict(before) == kept


def test_made_of_many_rows_it_has_them_all() -> None:
    """By key, and in any order."""
    rows = Rows({str(number): number for number in range(10_000)})
    assert (len(rows), rows["77"], rows.get("x"), sorted(rows.values())) == (10_000, 77, None, list(range(10_000)))


def test_it_is_equal_to_a_dict_and_shown_as_one() -> None:
    """As any mapping is."""
    assert Rows({"a": 1}) == {"a": 1}
    assert repr(Rows({"a": 1})) == "Rows({'a': 1})"


def test_its_pickle_is_read_by_another_process() -> None:
    """Where the hashes of texts are others."""
    code = f"import pickle; rows = pickle.loads({pickle.dumps(Rows({'a': 1, 'b': 2}))!r}); print(rows['a'], rows['b'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1 2\n"
