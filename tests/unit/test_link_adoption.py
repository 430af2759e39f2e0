"""Links beside those that Dataverse holds already: what is written, what is foreign, what is held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest

from shared.delta import compare, state
from shared.delta.compare import Delta, Policy
from shared.keys import still_unified
from shared.linking.rows import LinkTarget, elsewhere, keys
from shared.tables import guids
from tests.support import planning
from tests.support.deltas import guid
from tests.support.staging import table

TARGET = LinkTarget("contact", "contactid", "nav", "profiles")
A, B, C, LOST = (str(guids.from_identifier(name)) for name in ("A", "B", "C", "lost"))
NOBODY = ""
Links = dict[str, str]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with planning.connection() as opened:
        yield opened


class Run:
    """One comparison. `there`: source row -> profile, or nobody; `unified`: source row and customer."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        unified: Sequence[tuple[str, str]],
        there: Links | None = None,
        *,
        known: Sequence[tuple[str, str, str]] = (),
        policy: Policy = Policy(),  # noqa: B008  frozen
        texts: dict[str, str] | None = None,
        born: str = "once",
    ) -> None:
        self.connection = connection
        columns = {"id": "UUID", "entry": "UUID", "mark": "VARCHAR", "born": "VARCHAR"}
        state.create(connection, "state", columns, [(*row, born) for row in known])
        state.create(connection, "refused", {"id": "UUID"}, [])
        if there is not None:
            cells = [(row, to or None, (texts or {}).get(row)) for row, to in there.items()]
            state.create(connection, "there", {"id": "UUID", "profile": "UUID", "key": "VARCHAR"}, cells)
            state.found(connection)
        table(
            connection, "link_key", ("data_source", "entity", "value", "customer_id"),
            *(("CRM", "contact", row, customer) for row, customer in unified),
        )  # fmt: skip
        table(connection, "link_source", ("data_source", "entity"), ("CRM", "contact"))
        connection.execute("CREATE TABLE profile AS SELECT id_guid(unnest(['A', 'B', 'C'])) AS id, 'once' AS born")
        connection.execute(f"CREATE VIEW link AS {keys(by_alternate_key=texts is not None)}")
        rows = TARGET.rows(read=there is not None)
        compare.stage(connection, rows, policy, birth="now")
        if there is not None:
            state.adopt(connection)
        self.unnamed = compare.unnamed(connection, rows)
        self.delta: Delta = compare.number(connection, policy, write_stage=2, remove_stage=3)

    @property
    def steps(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT id::VARCHAR, op FROM delta").fetchall())

    @property
    def marks(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT id::VARCHAR, mark FROM state").fetchall())


def test_only_what_differs_from_dataverse_is_written(connection: duckdb.DuckDBPyConnection) -> None:
    one, two, three, four = map(guid, (1, 2, 3, 4))
    run = Run(
        connection,
        [(one, "A"), (two, "B"), (three, "C")],
        {one: A, two: NOBODY, three: A, four: B},
        known=[(three, A, "")],
    )
    assert run.steps == {two: "create", three: "change", four: "remove"}
    assert (run.delta.unchanged, run.delta.known) == (1, 3)


def test_a_row_that_dataverse_does_not_have_is_missing_and_not_sent(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run(connection, [(guid(1), "A"), (guid(2), "B")], {guid(2): NOBODY})
    assert run.steps == {guid(1): "missing", guid(2): "create"}
    assert (run.delta.missing, run.delta.created, run.delta.write_chunks) == (1, 1, 1)


def test_a_link_that_is_right_is_the_apps_own_whoever_wrote_it(connection: duckdb.DuckDBPyConnection) -> None:
    assert Run(connection, [(guid(1), "A"), (guid(2), "A")], {guid(1): A, guid(2): B}).marks == {
        guid(1): "",
        guid(2): "foreign",
    }


@pytest.mark.parametrize(("mark", "entry", "expected"), [
    ("", A, ""), ("", B, "foreign"), ("uncertain", A, ""), ("uncertain", B, "foreign"), ("foreign", A, "foreign"),
    ("kept", A, "kept"),
])  # fmt: skip
def test_what_the_app_wrote_is_not_foreign(
    connection: duckdb.DuckDBPyConnection, mark: str, entry: str, expected: str
) -> None:
    run = Run(connection, [(guid(1), "C")], {guid(1): A}, known=[(guid(1), entry, mark)])
    assert run.marks == {guid(1): expected}
    assert run.steps == {guid(1): "change"}


def many(number: int, to: str) -> Links:
    return {guid(place): to for place in range(1, number + 1)}


@pytest.mark.parametrize(("foreign", "held"), [(100, False), (101, True)])
def test_overwriting_what_others_wrote_is_braked(
    connection: duckdb.DuckDBPyConnection,
    foreign: int,
    held: bool,  # noqa: FBT001
) -> None:
    there = many(foreign, LOST)
    run = Run(connection, [(row, "A") for row in there], there)
    assert set(run.steps.values()) == {"hold_change" if held else "change"}
    assert (run.delta.held_writes, run.delta.changed) == ((foreign, 0) if held else (0, foreign))


def test_clears_and_overwrites_count_together(connection: duckdb.DuckDBPyConnection) -> None:
    there = many(120, LOST)
    run = Run(connection, [(row, "A") for row in list(there)[:60]], there)
    assert (run.delta.held, run.delta.held_writes, run.delta.write_chunks, run.delta.remove_chunks) == (60, 60, 0, 0)


def test_clears_that_are_held_for_another_reason_do_not_count_with_overwrites(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A hundred overwrites are not braked, and would be with one more."""
    there = many(200, LOST)
    run = Run(connection, [(row, "A") for row in list(there)[:100]], there, policy=Policy(hold="a file is missing"))
    assert (run.delta.held, run.delta.held_writes, run.delta.changed) == (100, 0, 100)


def test_what_the_states_file_says_of_a_link_is_compared_with_what_is_there(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    columns = {"id": "UUID", "entry": "UUID", "mark": "VARCHAR", "born": "VARCHAR"}
    rows = [(guid(1), A, "", "once"), (guid(2), A, "", "once"), (guid(3), None, "missing", None)]
    state.create(connection, "known", columns, rows)
    state.save(connection, "known", tmp_path / "state.parquet")
    state.open_state(connection, tmp_path / "state.parquet")
    state.create(connection, "there", {"id": "UUID", "profile": "UUID"}, [(guid(1), A), (guid(2), B)])
    state.found(connection)
    found = connection.execute("SELECT id::VARCHAR, entry::VARCHAR, mark, born FROM state ORDER BY id").fetchall()
    assert found == [(guid(1), A, "", "once"), (guid(2), B, "foreign", None), (guid(3), None, "missing", None)]


def test_the_apps_own_links_are_repointed_however_many(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run(connection, [(guid(n), "B") for n in range(1, 201)], known=[(guid(n), A, "") for n in range(1, 201)])
    assert (run.delta.changed, run.delta.held_writes) == (200, 0)


def test_what_was_held_stays_held_in_the_next_run(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [(guid(n), LOST, "foreign") for n in range(1, 151)]
    run = Run(connection, [(guid(n), "A") for n in range(1, 151)], known=rows)
    assert (run.delta.held_writes, set(run.steps.values())) == (150, {"hold_change"})


def test_missing_rows_travel_in_chunks_of_their_own(connection: duckdb.DuckDBPyConnection) -> None:
    unified = [(guid(n), "A") for n in range(1, 11)]
    Run(connection, unified, known=[(guid(n), A, "missing") for n in (2, 4)])
    chunks = connection.execute("SELECT chunk, list(id::VARCHAR ORDER BY place) FROM delta GROUP BY chunk").fetchall()
    others = [guid(n) for n in range(1, 11) if n not in {2, 4}]
    assert sorted(chunks) == [(1, others), (2, [guid(2), guid(4)])]


def test_a_missing_row_that_left_unification_is_forgotten(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run(connection, [], known=[(guid(1), A, "missing")])
    assert (run.steps, run.delta.gone, run.delta.known) == ({guid(1): "drop"}, 0, 0)


@pytest.mark.parametrize(
    ("customers", "linked", "cleared"),
    [
        (["A", "B"], A, False),  # it may be right
        (["A", "B"], C, True),
        (["gone"], A, True),  # the customer has no profile
        (["A", "gone"], A, False),
        ([f"C{guids.UNREADABLE}"], A, False),  # nobody knows whose it is
    ],
)
def test_a_row_that_cannot_be_linked_loses_only_a_link_that_cannot_be_right(
    connection: duckdb.DuckDBPyConnection,
    customers: list[str],
    linked: str,
    cleared: bool,  # noqa: FBT001
) -> None:
    run = Run(connection, [(guid(1), customer) for customer in customers], known=[(guid(1), linked, "")])
    assert run.delta.rejected == 1
    assert run.steps == ({guid(1): "remove"} if cleared else {})


def test_keys_that_cannot_be_read_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    assert Run(connection, [("4711", "A"), (guid(1), "B"), (f"x{guids.UNREADABLE}", "A")]).unnamed == 2


@pytest.mark.parametrize(("data_source", "told"), [("Renamed", (1, "Renamed", "accounts")), ("Shop", None)])
def test_rows_named_by_texts_are_told_among_those_of_other_tables(
    connection: duckdb.DuckDBPyConnection, data_source: str, told: tuple[int, str, str] | None
) -> None:
    """The data source was renamed. A number of a shop, which is no Dataverse, may be an account's by chance."""
    Run(connection, [], {guid(1): A}, texts={guid(1): "k-1"})
    connection.execute("INSERT INTO link_key VALUES (?, 'accounts', 'K-1', 'A')", [data_source])
    connection.execute("CREATE TABLE not_dataverse AS SELECT 'shop' AS name")
    connection.execute(f"CREATE VIEW elsewhere AS {elsewhere(by_alternate_key=True)}")
    assert still_unified(connection) == told


def test_a_row_that_two_pages_hold_is_one(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run(connection, [(guid(1), "B")], {guid(1): A, f"{{{guid(1)}}}": B})
    assert (run.steps, run.delta.unchanged, run.delta.known) == ({}, 1, 1)


def test_rows_are_found_by_the_text_of_an_alternate_key(connection: duckdb.DuckDBPyConnection) -> None:
    """Without regard to case and to spaces at the end, as Dataverse compares them."""
    run = Run(
        connection,
        [("K-1", "A"), ("k-2 ", "B"), ("K-3", "C")],
        {guid(1): NOBODY, guid(2): A},
        texts={guid(1): "k-1", guid(2): "k-2"},
    )
    assert {op for row, op in run.steps.items() if row not in {guid(1), guid(2)}} == {"missing"}
    assert (run.steps[guid(1)], run.steps[guid(2)], run.delta.missing) == ("create", "change", 1)


@pytest.mark.parametrize(("born", "written"), [("once", False), ("earlier", True)])
def test_a_link_whose_profile_went_and_came_back_is_set_again(
    connection: duckdb.DuckDBPyConnection,
    born: str,
    written: bool,  # noqa: FBT001
) -> None:
    """A lookup that was there before may have emptied itself when the profile was deleted."""
    run = Run(connection, [(guid(1), "A")], known=[(guid(1), A, "")], born=born)
    assert run.steps == ({guid(1): "change"} if written else {})


def test_a_link_that_was_read_is_as_old_as_its_profile(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run(connection, [(guid(1), "A")], {guid(1): A}, known=[(guid(1), A, "")], born="earlier")
    assert run.steps == {}
    assert connection.execute("SELECT born FROM state").fetchall() == [("once",)]
