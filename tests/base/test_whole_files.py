"""Temporary files: locks, leftovers of killed programs, and results whose place is lost."""

import errno
import os
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_smdiffusion.base import locks, temporary, whole_files
from napari_smdiffusion.base.errors import InputError, is_out_of_memory, reason_of, sentence_of
from napari_smdiffusion.base.folders import user_folder, user_path
from napari_smdiffusion.base.locks import Locked, lock_file
from napari_smdiffusion.base.temporary import new_token, remove_leftovers, temporary_file, temporary_folder
from napari_smdiffusion.base.whole_files import atomic_file, check_allocation, existing_folder, rename_into_place


def test_a_write_removes_the_files_of_killed_programs_and_no_others(tmp_path):
    killed = tmp_path / f".a.tif.{new_token()}.smdiffusion.tif"
    elsewhere = tmp_path / ".a.tif.0000deadbeef.smdiffusion.tif"
    person = [".a.tif.12345678.tif", ".smdiffusion", ".a.smdiffusion.tif", "a.0123456789ab.smdiffusion.tif", ".a.part"]
    for path in (killed, elsewhere, *(tmp_path / name for name in person)):
        path.touch()
    with temporary_file(tmp_path / "b.tif") as running, atomic_file(tmp_path / "c.tif") as temporary_path:
        assert running.exists()
        temporary_path.write_text("c")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([elsewhere.name, *person, "c.tif"])
    # The locks of another computer may not be seen here: its files are removed when they are old.
    os.utime(elsewhere, (0, 0))
    remove_leftovers(tmp_path)
    assert not elsewhere.exists()


@pytest.mark.skipif(os.name == "nt", reason="owners of POSIX")
def test_files_of_another_user_stay(tmp_path, monkeypatch):
    killed = tmp_path / f".a.tif.{new_token()}.smdiffusion.tif"
    killed.touch()
    monkeypatch.setattr(temporary.os, "geteuid", lambda: os.getuid() + 1)
    remove_leftovers(tmp_path)
    assert killed.exists()


def test_a_result_that_a_later_run_may_go_on_with_stays_for_a_month(tmp_path):
    part = tmp_path / ".a.tif.smdiffusion-part.tif"
    part.touch()
    remove_leftovers(tmp_path)
    assert part.exists()
    month = time.time() - 31 * 86_400
    os.utime(part, (month, month))
    remove_leftovers(tmp_path)
    assert not part.exists()


def test_a_lock_has_one_holder_at_a_time(tmp_path):
    holders, most, path = [], [], tmp_path / ".m.lock"

    def work():
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            try:
                with lock_file(path):
                    holders.append(1)
                    most.append(len(holders))
                    holders.pop()
            except BlockingIOError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert not path.exists()


@pytest.mark.parametrize("place", ["user folder", "temporary folder"])
def test_a_complete_file_whose_folder_is_lost_is_kept_in_another_place(tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    (tmp_path / "written").write_text("result")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if place == "temporary folder":
        monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OSError, match=r"file/x\.tif cannot be replaced \(a part of its path") as error:
        rename_into_place(tmp_path / "written", tmp_path / "file" / "x.tif")
    saved = Path(str(error.value).split("is saved in ")[1].rstrip("."))
    assert saved.read_text() == "result"
    assert saved.parent == (tmp_path if place == "temporary folder" else user_folder() / "results")


def _opened_after_its_folder_is_removed(path):
    path.unlink()
    path.parent.rmdir()
    path.open("r+b")


def test_messages_name_the_result_and_not_the_temporary_file(tmp_path):
    target, message = tmp_path / "out" / "x.tif", r"/out/x\.tif cannot be written \(there is no such file"
    with pytest.raises(OSError, match=message) as error, atomic_file(target) as temporary_path:
        _opened_after_its_folder_is_removed(temporary_path)
    assert "smdiffusion.tif" not in str(error.value)


def test_the_remedy_of_a_missing_permission_is_that_of_the_system(tmp_path, monkeypatch):
    def refused(self, target):
        raise PermissionError(errno.EACCES, "Permission denied", str(target))

    (tmp_path / "written").write_text("result")
    monkeypatch.setattr(Path, "replace", refused)
    remedy = "close the program that uses it" if os.name == "nt" else "ask its owner for the permission"
    with pytest.raises(OSError, match=f"cannot be replaced .*: {remedy}, or name another file"):
        rename_into_place(tmp_path / "written", tmp_path / "x.tif")


def test_no_message_names_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="The result is lost"):
        rename_into_place(tmp_path / "gone", tmp_path / "no" / "x.tif")


def test_room_is_tried_before_the_work_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match=r"m needs .* MB: free some space or choose another disk"):
        check_allocation(tmp_path / "new" / "m", 2**60)
    check_allocation(tmp_path / "new" / "m", 2**20)
    assert not any(tmp_path.iterdir())


def test_errors_of_the_system_are_sentences(tmp_path):
    missing = tmp_path / "x"
    with pytest.raises(FileNotFoundError) as error:
        missing.open()
    assert sentence_of(error.value) == f"{missing} cannot be used (there is no such file or folder): check the name."
    full = OSError(errno.ENOSPC, "No space left on device")
    assert sentence_of(full) == "A file cannot be used (the disk is full): free some space or choose another place."
    assert reason_of(OSError("own text")) == "own text"
    assert sentence_of(OSError("x cannot be written.")) == "x cannot be written."


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libjpeg.so.62: failed to map segment from shared object"),
        MemoryError(),
        RuntimeError("could not create a primitive"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        MemoryError("Unable to allocate 4.00 GiB for an array with shape (1,)"),
    ],
)
def test_too_little_memory_is_recognised_in_all_its_forms(error):
    assert is_out_of_memory(error)
    assert sentence_of(error).startswith("Memory ran out: close other programs")


def test_a_memory_error_with_a_sentence_keeps_it_and_other_errors_are_no_memory_errors():
    assert sentence_of(MemoryError("Memory is too small: choose fewer.")) == "Memory is too small: choose fewer."
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "full"))
    assert not is_out_of_memory(ModuleNotFoundError("No module named 'zarr'"))


def test_the_home_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SMDIFFUSION_HOME", "~/models")
    assert user_folder() == tmp_path / "models"
    assert user_path("~/x") == tmp_path / "x"
    assert user_path(tmp_path / "~" / "x") == tmp_path / "~" / "x"
    with pytest.raises(InputError, match="cannot be a path, as it holds the character NUL: name another"):
        user_path("a\0b")
    assert user_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_a_folder_is_no_file_to_write_and_the_root_has_no_folder_above(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder: name a file to write"), atomic_file(tmp_path):
        pass
    assert existing_folder(Path(tmp_path.anchor)) == Path(tmp_path.anchor)


def test_names_up_to_the_limit_of_the_file_system_can_be_written(tmp_path):
    path = tmp_path / ("é" * 120 + ".tif")
    with atomic_file(path) as file:
        file.write_text("x")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"m needs 1\.05 MB: free some space or choose another disk"),
        (errno.EFBIG, r"m cannot be written \(.*\): "),
        (errno.EINVAL, None),  # a file system that cannot allocate
    ],
)
@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the call of POSIX")
def test_a_full_disk_is_found_before_the_work(tmp_path, monkeypatch, number, message):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with nullcontext() if message is None else pytest.raises(OSError, match=message):
        check_allocation(tmp_path / "m", 2**20)
    monkeypatch.delattr(os, "posix_fallocate")  # as on macOS
    check_allocation(tmp_path / "m", 2**20)
    assert not any(tmp_path.iterdir())


def test_a_place_below_a_file_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/m cannot be written \(.*\): "):
        check_allocation(tmp_path / "file" / "m", 2**20)


def test_a_result_that_can_be_renamed_nowhere_stays_for_a_later_run(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "part").write_text("result")
    monkeypatch.setenv("SMDIFFUSION_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(OSError, match="The result is kept for a run with resume: free some space"):
        rename_into_place(tmp_path / "part", tmp_path / "file" / "x.tif", stays=True)
    assert (tmp_path / "part").read_text() == "result"


def test_a_link_in_place_of_a_leftover_is_removed_when_it_is_old(tmp_path):
    link = tmp_path / f".a.tif.{new_token()}.smdiffusion.tif"
    (tmp_path / "kept").write_text("x")
    link.symlink_to(tmp_path / "kept")
    remove_leftovers(tmp_path)
    assert link.is_symlink()
    os.utime(link, (0, 0), follow_symlinks=False)
    remove_leftovers(tmp_path)
    assert not link.is_symlink()
    assert (tmp_path / "kept").read_text() == "x"


def test_a_temporary_file_that_another_program_took_is_made_again(tmp_path, monkeypatch):
    outcomes = [Locked.BY_ANOTHER]
    monkeypatch.setattr(temporary, "lock", lambda descriptor: outcomes.pop() if outcomes else Locked.YES)
    with temporary_file(tmp_path / "a.tif") as file:
        assert file.exists()
    assert not outcomes


@pytest.fixture
def windows(monkeypatch):
    """Act as on Windows, which locks parts of files, opens no folders and deletes no open file."""

    class Locks:
        LK_NBLCK = 2

        def locking(self, descriptor, mode, count):
            if os.fstat(descriptor).st_size:
                raise OSError(errno.EACCES, "taken")

    like_windows = SimpleNamespace(**{**vars(os), "name": "nt"})
    monkeypatch.setattr(locks, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setitem(sys.modules, "msvcrt", Locks())
    for module in (locks, temporary, whole_files):
        monkeypatch.setattr(module, "os", like_windows)
    monkeypatch.setattr(whole_files, "gc", SimpleNamespace(collect=int))  # for mapped arrays, and it takes seconds


def test_files_are_written_on_windows(tmp_path, windows, monkeypatch):
    with lock_file(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()
    (tmp_path / "taken").write_text("by another program")
    with pytest.raises(BlockingIOError), lock_file(tmp_path / "taken"):
        pass
    (tmp_path / "taken").unlink()
    with atomic_file(tmp_path / "a.txt") as file:
        file.write_text("x")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "b.txt"):
        raise ZeroDivisionError
    monkeypatch.setattr(temporary, "open_for_lock", _no_folders)
    with temporary_folder(tmp_path / "m") as folder:
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def _no_folders(path, flags=0):
    raise PermissionError(errno.EACCES, "is a folder", str(path))
