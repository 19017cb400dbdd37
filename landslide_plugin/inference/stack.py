"""A stack as it was when it was opened first, for whoever opens it again, here or elsewhere."""

from dataclasses import dataclass

from ..raster import Source
from ..raster.virtual import document_of


@dataclass(frozen=True)
class Stack:
    """What a stack is opened by.

    Attributes:
        path: as it was given, also in messages.
        document: the virtual raster by which its files are read, where they are many; servers and
            folders that name them are asked once. Empty where it is not known, or one file.
    """

    path: str
    document: str = ""

    @classmethod
    def of(cls, source: Source) -> "Stack":
        """Return what an open stack is opened by again."""
        return cls(source.path, document_of(source.dataset))

    def open(self) -> Source:
        """Open it.

        Raises:
            InputError: it can't be read.
        """
        return Source.open(self.path, what="stack", need_crs=False, document=self.document)
