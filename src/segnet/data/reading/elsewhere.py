"""Images that are no files of this machine's folders: in a store, on a web server, or in a ZIP or TAR file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from PIL import Image

from segnet.data.reading.archives import Archive, is_archive_name
from segnet.errors import ConfigError, DataError
from segnet.io.remote import RemoteFile, RemoteFolder

Source = RemoteFolder | Archive


def open_source(address: str) -> Source:
    """Opens an address or an archive, also one at an address; errors as for both."""
    return Archive(address) if is_archive_name(address.partition("?")[0]) else RemoteFolder(address)


def images_of(source: Source) -> list[RemoteFile]:
    """The images of a source and of all folders in it; of an address that is one file, that file.

    Raises:
        DataError: there are none, or the source cannot be read.
    """
    files = source.files()
    if isinstance(source, RemoteFolder) and len(files) == 1 and source.address_of(files[0].name) == source.address:
        return files
    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    images = [file for file in files if PurePosixPath(file.name).suffix.lower() in suffixes]
    images = [file for file in images if not PurePosixPath(file.name).name.startswith(".")]
    if not images:
        raise DataError(f"no image in {source.address}")
    return images


def tree_stems(names: Sequence[str], *, flat: bool = False) -> dict[str, str]:
    """Chooses the stem of the results of each image, in folders as those of the images.

    Args:
        names: with `/` between folders.
        flat: `-` instead of folders.

    Raises:
        ConfigError: two images whose results would have one name.
    """

    def of(name: str, *, longer: bool) -> str:
        path = PurePosixPath(name)
        stem = str(path.parent / (path.name.replace(".", "-") if longer else path.stem))
        return stem.replace("/", "-") if flat else stem

    times = Counter(of(name, longer=False) for name in names)
    stems = {name: of(name, longer=times[of(name, longer=False)] > 1) for name in names}
    first: dict[str, str] = {}
    for name, stem in stems.items():
        if stem in first:
            raise ConfigError(f"results of {name} would overwrite those of {first[stem]}; give another name to one")
        first[stem] = name
    return stems
