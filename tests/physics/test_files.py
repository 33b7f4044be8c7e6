"""Nothing half-written, nothing overwritten unasked."""

import pytest

from physics.files import publishing, replacing


def test_success_leaves_the_file_only(tmp_path):
    with replacing(tmp_path / "a.txt") as path:
        assert path.suffix == ".txt"
        path.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    other = tmp_path / "other.txt"
    other.touch()
    assert (tmp_path / "a.txt").stat().st_mode == other.stat().st_mode


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as path:  # noqa: PT012
        path.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target, overwrite=True) as path:  # noqa: PT012
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"


def test_no_overwrite_unless_asked(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(FileExistsError, match="overwrite=True"), replacing(target) as path:
        path.write_text("new")
    with replacing(target, overwrite=True) as path:
        path.write_text("new")
    assert target.read_text() == "new"


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder"), replacing(tmp_path / "none" / "a.txt"):
        pass


def test_results_are_published_together(tmp_path):
    with publishing(tmp_path / "a" / "b", ["x.txt", "y.txt"]) as folder:
        (folder / "x.txt").write_text("1")
        (folder / "y.txt").write_text("2")
        (folder / "scratch.txt").write_text("3")
        assert not (tmp_path / "a").exists()
    assert {p.name for p in (tmp_path / "a" / "b").iterdir()} == {"x.txt", "y.txt"}
    with (
        pytest.raises(FileExistsError, match=r"y.txt already; pass overwrite"),
        publishing(tmp_path / "a/b", ["y.txt"]),
    ):
        raise AssertionError("the work was begun")


def test_optional_results_are_published_where_they_were_made(tmp_path):
    for made in (True, False):
        with publishing(tmp_path, ["x.txt"], optional=["y.txt"], overwrite=not made) as folder:
            (folder / "x.txt").write_text("1")
            if made:
                (folder / "y.txt").write_text("2")
        # An earlier one does not stay beside new results.
        assert (tmp_path / "y.txt").exists() == made
    (tmp_path / "x.txt").unlink()
    (tmp_path / "y.txt").touch()
    with pytest.raises(FileExistsError, match=r"y.txt"), publishing(tmp_path, ["x.txt"], optional=["y.txt"]):
        raise AssertionError("the work was begun")


def test_failed_work_publishes_nothing(tmp_path):
    with pytest.raises(RuntimeError), publishing(tmp_path / "out", ["x.txt"]) as folder:  # noqa: PT012
        (folder / "x.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("place", "error"), [("f/below", NotADirectoryError), ("/proc/nowhere", PermissionError)])
def test_an_impossible_folder_is_known_before_the_work(tmp_path, place, error):
    (tmp_path / "f").touch()
    with pytest.raises(error, match=r"below|nowhere"), publishing(tmp_path / place, ["x.txt"]):
        raise AssertionError("the work was begun")
