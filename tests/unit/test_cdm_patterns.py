from __future__ import annotations

import json
import time
from typing import Any

import pytest

from shared.lake import cdm
from shared.lake.listing import Listing
from shared.lake.manifest import Delivery, Entity
from shared.lake.partitions import Place

FOLDER = "ci_one/U"
MANIFEST = f"{FOLDER}/default.manifest.cdm.json"
LISTED = (
    "default.manifest.cdm.json",
    "C.cdm.json",
    "donotwant.csv",
    "parts/testfile.csv",
    "parts/a b (é)+1.csv",
    "parts/2026/8/15/day.csv",
    "parts/2026/8/day.csv",
    "parts/sub/testfile.csv",
    "parts/_temporary/testfile.csv",
    "parts/.hidden.csv",
    "parts/_SUCCESS",
)


def read(*patterns: object, partitions: object = (), listed: tuple[str, ...] = LISTED) -> Entity:
    entity = {
        "entityName": "C",
        "entityPath": "C.cdm.json/C",
        "dataPartitions": partitions,
        "dataPartitionPatterns": patterns,
    }
    document = {"definitions": [{"entityName": "C", "hasAttributes": [{"name": "a"}]}]}
    place = Place(MANIFEST, "ci_one", "customerinsights", Listing(f"{FOLDER}/{path}" for path in listed))
    content = json.dumps({"entities": [entity]}).encode()
    (found,) = cdm.parse(content, place, {f"{FOLDER}/C.cdm.json": json.dumps(document).encode()}).entities
    return found


def matched(root: str = "parts", **pattern: Any) -> list[str]:
    found = read({"rootLocation": root, **pattern})
    return [partition.path.removeprefix(f"{FOLDER}/parts/") for partition in found.partitions]


TOP = ["a b (é)+1.csv", "testfile.csv"]
ALL = ["2026/8/15/day.csv", "2026/8/day.csv", "a b (é)+1.csv", "sub/testfile.csv", "testfile.csv"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.csv", TOP),
        ("/*.csv", TOP),
        ("*", TOP),
        ("test*", ["testfile.csv"]),
        ("**test*", ["testfile.csv"]),
        ("/test?ile.csv", ["testfile.csv"]),
        ("a b (é)+?.csv", ["a b (é)+1.csv"]),
        ("test.ile.csv", []),
        ("TESTFILE.csv", []),
        ("parts/testfile.csv", []),
        ("/*/*.csv", ["sub/testfile.csv"]),
        ("?????????????????", []),
        ("**", ALL),
        ("/**", ALL),
        ("/**/*.csv", ALL),
        ("**/day.csv", ["2026/8/15/day.csv", "2026/8/day.csv"]),
        ("2026/**/day.csv", ["2026/8/15/day.csv", "2026/8/day.csv"]),
        ("/**.csv", TOP),
        ("\\testfile.csv", ["testfile.csv"]),
        ("[t]*.csv", []),
    ],
)
def test_globs(glob: str, expected: list[str]) -> None:
    assert matched(globPattern=glob) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"(.*)testfile\.csv", ["sub/testfile.csv", "testfile.csv"]),
        (r"/testfile\.csv$", ["testfile.csv"]),
        (r"testfile\.csv", []),
        (r"/(\d{4})/(\d+)/(\d+)/day\.csv", ["2026/8/15/day.csv"]),
        (r"/(?:(\d+)/)+day.csv", ["2026/8/15/day.csv", "2026/8/day.csv"]),
        (r"\s*", []),
    ],
)
def test_expressions_are_matched_against_the_whole_path_below_the_folder(expression: str, expected: list[str]) -> None:
    assert matched(regularExpression=expression) == expected


def test_the_glob_counts_where_both_are_given() -> None:
    assert matched(globPattern="/testfile.csv", regularExpression="/sub/.*") == ["testfile.csv"]


@pytest.mark.parametrize(
    "root", ["parts", "parts/", "/parts", "/parts//", "./parts", "local:/parts", f"/{FOLDER}/parts"]
)
def test_every_form_of_a_folder(root: str) -> None:
    assert matched(root, globPattern="*.csv") == TOP


def test_the_folder_of_the_manifest_holds_no_data_but_files_of_data() -> None:
    for root in ("", "/", ".", None):
        found = read({"rootLocation": root, "globPattern": "*"})
        assert [partition.path for partition in found.partitions] == [f"{FOLDER}/donotwant.csv"]


def test_files_are_read_as_the_pattern_says_and_each_once() -> None:
    trait = {"traitReference": "is.partition.format.CSV", "arguments": [{"name": "columnHeaders", "value": "true"}]}
    pattern = {"name": "p", "rootLocation": "parts", "globPattern": "*.csv", "exhibitsTraits": [trait]}
    told = {"location": "parts/testfile.csv", "exhibitsTraits": ["is.partition.format.CSV"]}
    found = read(pattern, pattern, partitions=[told])
    assert [(one.name, one.format.headers) for one in found.partitions] == [
        ("testfile.csv", False),
        ("a b (é)+1.csv", True),
    ]
    found = read(pattern, partitions=[{"location": "parts/testfile.csv"}, {"location": "donotwant.csv"}])
    assert [(one.name, one.format.headers) for one in found.partitions] == [
        ("testfile.csv", True),
        ("donotwant.csv", False),
        ("a b (é)+1.csv", True),
    ]


def test_a_file_that_two_patterns_read_in_two_ways_is_a_fault() -> None:
    glob = {"rootLocation": "parts", "globPattern": "*.csv"}
    trait = {"traitReference": "is.partition.format.CSV", "arguments": ["true", ","]}
    found = read(glob, glob | {"exhibitsTraits": [trait]})
    assert "more than one of its partitions is the file" in str(found.fault)


def test_a_pattern_without_a_file_is_waited_for_even_beside_named_files() -> None:
    found = read({"rootLocation": "other", "globPattern": "*"}, partitions=[{"location": "donotwant.csv"}])
    assert (found.delivery, found.awaited) == (Delivery.CORRUPT, (f"{FOLDER}/other/*",))


def test_files_that_do_not_match_yet_are_waited_for() -> None:
    found = read({"rootLocation": "parts/new", "globPattern": "/*.csv"})
    assert (found.delivery, found.partitions) == (Delivery.CORRUPT, ())
    assert found.fault == f'no file in {FOLDER}/parts/new/ matches the pattern "/*.csv"'
    assert found.awaited == (f"{FOLDER}/parts/new/*.csv",)
    found = read({"rootLocation": "parts/new", "regularExpression": r"\s*"})
    assert found.awaited == (f"{FOLDER}/parts/new/\\s*",)


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ({"rootLocation": "adls:/parts", "globPattern": "*"}, "namespace adls, which only a corpus resolves"),
        ({"rootLocation": "../U2", "globPattern": "*"}, 'leads through "."'),
        ({"rootLocation": "https://x/customerinsights/ci_two", "globPattern": "*"}, "lies outside of ci_one/"),
        ({"rootLocation": "parts"}, "has neither globPattern nor regularExpression"),
        ({"rootLocation": "parts", "regularExpression": "("}, 'the pattern "(" is no expression'),
        ({"rootLocation": "nothing", "regularExpression": "("}, 'the pattern "(" is no expression'),
        ({"rootLocation": "parts", "regularExpression": r"(.)\1"}, "is no expression"),
        ({"rootLocation": "parts", "globPattern": "*" * 2000}, "is longer than 1000 characters"),
        ({"rootLocation": "parts", "globPattern": 7}, "partition pattern 1 cannot be read: globPattern"),
    ],
)
def test_patterns_that_cannot_be_used(pattern: object, fault: str) -> None:
    found = read(pattern)
    assert (found.delivery, found.partitions, found.awaited) == (Delivery.CORRUPT, (), ())
    assert fault in str(found.fault)


def test_an_expression_made_to_take_for_ever_takes_no_time() -> None:
    listed = (*LISTED, f"parts/{'a' * 200}.csv")
    began = time.monotonic()
    assert read({"rootLocation": "parts", "regularExpression": r"/(a+)+$"}, listed=listed).partitions == ()
    assert read({"rootLocation": "parts", "globPattern": "a*" * 100 + "b"}, listed=listed).partitions == ()
    assert time.monotonic() - began < 10
