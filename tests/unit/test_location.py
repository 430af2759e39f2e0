from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.lake.location import FolderError, LocationError, resolve, shown

ENVIRONMENT = "ci_3f0c2a9e"
MODEL = f"{ENVIRONMENT}/Unification/model.json"
HOST = f"https://contosolake.dfs.core.windows.net/customerinsights/{ENVIRONMENT}"
PARTS = f"{ENVIRONMENT}/Unification/Customer"


@pytest.mark.parametrize(
    "location",
    [
        f"{HOST}/Unification/Customer/a b.csv",
        f"{HOST}/Unification/Customer/a%20b.csv",
        f"{HOST}/Unification%2FCustomer/a%20b.csv?snapshot=2022&sig=marker#x",
        f"https://contosolake.blob.core.windows.net/customerinsights//{PARTS}/a%20b.csv",
        f"HTTPS://user:marker@contosolake.blob.core.windows.net:443/CustomerInsights/{PARTS}/a b.csv",
        f"https://contosolake.blob.core.windows.net//customerinsights/{PARTS}/a b.csv",
        f"http://127.0.0.1:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"http://localhost:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"http://[::1]:10000/devstoreaccount1/customerinsights/{PARTS}/a%20b.csv",
        f"abfss://customerinsights@contosolake.dfs.core.windows.net/{PARTS}/a b.csv",
        f"wasbs://customerinsights@contosolake.blob.core.windows.net/{PARTS}/a%20b.csv",
        "Customer/a b.csv",
        " ./Customer/a%20b.csv?snapshot=2022 ",
        f"{PARTS}/a b.csv",
        f"/{PARTS}/a b.csv",
        f"/customerinsights/{PARTS}/a b.csv",
    ],
)
def test_every_form_of_a_location_means_the_same_path(location: str) -> None:
    found = resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    assert found == f"{PARTS}/a b.csv"


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("https://contosolake.dfs.core.windows.net/other/ci_3f0c2a9e/a.csv", "outside of the container"),
        ("https://contosolake.dfs.core.windows.net/", "outside of the container"),
        ("https://contosolake.dfs.core.windows.net/customerinsights", "outside of ci_3f0c2a9e/"),
        ("https://contosolake.dfs.core.windows.net/customerinsights/ci_other/a.csv", "outside of ci_3f0c2a9e/"),
        ("https://contosolake.dfs.core.windows.net/customerinsights/ci_3f0c2a9e2/a.csv", "outside of ci_3f0c2a9e/"),
        ("abfss://other@contosolake.dfs.core.windows.net/ci_3f0c2a9e/a.csv", "outside of the container"),
        ("abfss://contosolake.dfs.core.windows.net/ci_3f0c2a9e/a.csv", "outside of the container"),
        (f"{HOST}/../ci_other/a.csv", 'leads through "."'),
        (f"{HOST}/%2e%2e/ci_other/a.csv", 'leads through "."'),
        (f"{HOST}/..%2Fci_other/a.csv", 'leads through "."'),
        (f"{HOST}/./a.csv", 'leads through "."'),
        (f"{HOST}/..%5Cci_other/a.csv", "a character that no file name has"),
        (f"{HOST}/a%00.csv", "a character that no file name has"),
        (f"{HOST}/a%ff.csv", "not text in UTF-8"),
        (f"{HOST}/Customer/", "is a folder"),
        ("Customer/", "is a folder"),
        ("./", "is a folder"),
        ("../../ci_other/a.csv", 'leads through "."'),
        ("/ci_other/a.csv", "outside of ci_3f0c2a9e/"),
        ("/", "outside of ci_3f0c2a9e/"),
        ("C:\\lake\\a.csv", "path of Windows"),
        ("c:/lake/a.csv", "path of Windows"),
        ("\\\\server\\share\\a.csv", "path of Windows"),
        ("Customer\\a.csv", "path of Windows"),
        ("file:///C:/lake/a.csv", "not supported"),
        ("ftp://user:marker@host/a.csv?marker", "not supported"),
        ("adl://contoso.azuredatalakestore.net/a.csv", "not supported"),
        ("https://[broken/a.csv", "no readable address"),
        ("https:///a.csv?sig=marker", "outside of the container"),
        ("\ud800", "a character that no file name has"),
    ],
)
def test_locations_outside_of_the_environment_are_refused(location: str, fault: str) -> None:
    with pytest.raises(LocationError) as raised:
        resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    assert fault in str(raised.value)
    assert "marker" not in str(raised.value)


@pytest.mark.parametrize("location", ["Customer/", f"{HOST}/Unification/Customer//?sig=marker"])
def test_a_refused_folder_is_known(location: str) -> None:
    with pytest.raises(FolderError) as raised:
        resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    assert raised.value.path == PARTS


def test_a_refused_location_is_shown_in_part_when_it_is_long() -> None:
    assert len(shown("a" * 1000)) < 210


SEGMENTS = st.lists(
    st.text("aZ0 é%+#?&=~_-.", min_size=1, max_size=6).filter(lambda text: text not in (".", "..")),
    min_size=1,
    max_size=4,
)


@given(SEGMENTS)
def test_an_encoded_address_means_the_path_it_was_made_of(segments: list[str]) -> None:
    path = "/".join([ENVIRONMENT, *segments])
    for prefix in ("https://lake.dfs.core.windows.net/customerinsights/", "abfss://customerinsights@lake/", "/", ""):
        found = resolve(
            prefix + quote(path), manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights"
        )
        assert found == path


LOCATIONS = st.lists(
    st.sampled_from(
        ["https://", "customerinsights", "a@b", ENVIRONMENT, "ci_x", "..", "%2e", "/", "\\", "//", "?", "%", ":"]
    )
    | st.text("a.%25/", max_size=3),
    max_size=8,
).map("".join)


@given(LOCATIONS)
@example(f"https://x/customerinsights/{ENVIRONMENT}/%252e%252e/a")
def test_no_location_leads_out_of_the_environment(location: str) -> None:
    try:
        path = resolve(location, manifest=MODEL, environment_folder=ENVIRONMENT, container="customerinsights")
    except LocationError:
        return
    assert path.startswith(f"{ENVIRONMENT}/")
    assert not {"", ".", ".."} & set(path.split("/"))
