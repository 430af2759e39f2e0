"""Unusable input is told of in sentences, all at once, before anything starts."""

from pathlib import Path

import pytest

from local import sample
from local.__main__ import main
from local.inputs import UnusableInputError, dataverse_rows, lake_folder

KEY = "0c0ffee0-0000-4000-8000-000000000001"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return sample.write(tmp_path / "lake", 1, people=10)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hydration.toml"
    path.write_text(sample.CONFIG)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["hydrate", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out, "nothing was started"
    assert "Traceback" not in err
    return err


def test_lists_the_environments_and_their_manifests(tmp_path: Path) -> None:
    paths = ("ci_b/x/model.json", "ci_a/U/model.json", "ci_a/U/1.csv", "ci_a/C/sub/x.manifest.cdm.json", "notes.txt")
    others = ("ci_a/U/default.manifest.cdm.json", "ci_a/C/Customer.cdm.json", "ci_a/.DS_Store", "ci_a/_t/model.json")
    for path in (*paths, *others):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    found = lake_folder(tmp_path)
    assert found.manifests == {
        "a": ("ci_a/C/sub/x.manifest.cdm.json", "ci_a/U/model.json"),
        "b": ("ci_b/x/model.json",),
    }
    assert {path for path, _ in found.files()} == {*paths, *others} - {"notes.txt", "ci_a/.DS_Store"}


def test_refuses_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    assert "there is no such folder" in refused(capsys, tmp_path / "nowhere", "--config", config)


def test_refuses_a_folder_without_an_environment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lake: Path, config: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert "no folder named ci_<environment>" in refused(capsys, tmp_path / "empty", "--config", config)
    inside = lake / f"ci_{sample.ENVIRONMENT}"
    assert "name the folder that holds it" in refused(capsys, inside, "--config", config)


def test_refuses_an_environment_without_a_manifest(
    capsys: pytest.CaptureFixture[str], lake: Path, config: Path
) -> None:
    (lake / "ci_other").mkdir()
    assert "no model.json or manifest.cdm.json in it" in refused(capsys, lake, "--config", config)


def test_a_manifest_in_a_hidden_folder_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    (tmp_path / "lake/ci_a/.tmp").mkdir(parents=True)
    (tmp_path / "lake/ci_a/.tmp/model.json").write_text("{}")
    assert main(["hydrate", str(tmp_path / "lake"), "--config", str(config)]) == 2
    assert "no model.json or manifest.cdm.json in it" in capsys.readouterr().err


def test_refuses_a_result_that_cannot_be_written_before_anything_starts(
    capsys: pytest.CaptureFixture[str], lake: Path, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    told = ["hydrate", str(lake), "--config", str(config), "--json", str(tmp_path / "file/result.json")]
    assert main(told) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_refuses_a_configuration_with_all_its_faults(
    capsys: pytest.CaptureFixture[str], lake: Path, config: Path, tmp_path: Path
) -> None:
    assert "--config" in refused(capsys, lake, "--config", tmp_path / "none.toml")
    config.write_text('publisher_prefix = "1"\nsettle_seconds = "soon"\n' + sample.CONFIG.partition("whole_within")[2])
    told = refused(capsys, lake, "--config", config)
    assert told.strip()
    config.write_text(sample.CONFIG.replace('"msdynci"', '"1"').replace("brake_percent = 10", "brake_percent = 900"))
    told = refused(capsys, lake, "--config", config)
    assert "publisher_prefix" in told
    assert "brake_percent" in told


def test_refuses_rows_without_a_primary_key_or_with_ragged_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lake: Path, config: Path
) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    assert "no <logical name>.csv" in refused(capsys, lake, "--config", config, "--dataverse", rows)
    (rows / "contact.csv").write_text("firstname\nAnna\n")
    (rows / "lead.csv").write_text(f"leadid,subject\n{KEY},2,3\n7,x\n")
    told = refused(capsys, lake, "--config", config, "--dataverse", rows)
    assert "contactid" in told
    assert "line 2 has not the 2 columns" in told
    assert "line 3 has no GUID" in told


def test_takes_rows_with_a_bom_and_quoted_line_ends(tmp_path: Path) -> None:
    (tmp_path / "contact.csv").write_bytes(f'\ufeffContactId,firstname\r\n{{{KEY}}},"a\r\nb"\r\n'.encode())
    [rows] = dataverse_rows(tmp_path, {"contact": "memberid"})
    assert (rows.logical_name, rows.primary_key) == ("contact", "contactid")


def test_a_table_of_the_users_own_may_have_another_key(tmp_path: Path) -> None:
    (tmp_path / "new_member.csv").write_text(f"memberno,name\n{KEY},a\n")
    [rows] = dataverse_rows(tmp_path, {"new_member": "memberno"})
    assert rows.primary_key == "memberno"
    with pytest.raises(UnusableInputError, match="new_memberid"):
        dataverse_rows(tmp_path, {})
    (tmp_path / "new_member.csv").write_text(f"memberno,new_memberid\n1,{KEY}\n")
    [rows] = dataverse_rows(tmp_path, {"new_member": "memberno"})
    assert rows.primary_key == "new_memberid"


def test_reports_faults_of_several_inputs_together(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    told = refused(capsys, tmp_path / "a", tmp_path / "b", "--config", config, "--dataverse", tmp_path / "c")
    assert told.count("there is no such folder") == 3
