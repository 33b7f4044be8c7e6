"""Writing a file so that a failure leaves nothing behind and nothing is overwritten by accident."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success rename it to `path`, on failure delete it.

    The temporary name keeps the suffix, because writers choose a format by it.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist")
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes the file private; a result is as readable as any other new file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def publishing(
    folder: str | os.PathLike[str], names: Sequence[str], *, optional: Sequence[str] = (), overwrite: bool = False
) -> Iterator[Path]:
    """Yield an empty scratch folder; on success move its files `names` to `folder`, which is made if it is missing.

    Files `optional` are moved if they were made; one of an earlier run that is overwritten goes if it was not made.

    That the results can be written is known on entry, before the work; after a failure nothing is left.

    Raises:
        FileExistsError: one of the results exists and `overwrite` is false.
        NotADirectoryError: `folder`, or what it would lie in, is a file.
        PermissionError: nothing can be written there.
    """
    out = Path(folder)
    present = [name for name in (*names, *optional) if (out / name).exists()]
    if present and not overwrite:
        raise FileExistsError(f"{out} holds {', '.join(present)} already; pass overwrite to replace them")
    nearest = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(f"{out}: {nearest} is not a folder")
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise PermissionError(f"{out}: cannot write to {nearest}: {error.strerror}") from error
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        made = [name for name in optional if (Path(scratch) / name).exists()]
        for name in set(optional) - set(made):
            (out / name).unlink(missing_ok=True)
        for name in (*names, *made):
            with replacing(out / name, overwrite=overwrite) as temporary:
                shutil.copyfile(Path(scratch) / name, temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
