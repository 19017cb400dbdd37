"""A stack as it was when it was opened first, for whoever opens it again, here or elsewhere."""

from dataclasses import dataclass

from ..raster import Source
from ..raster.fill import Fill
from ..raster.virtual import document_of


@dataclass(frozen=True)
class Stack:
    """What a stack is opened by.

    Attributes:
        path: as it was given, also in messages.
        document: the virtual raster by which its files are read, where they are many; servers and
            folders that name them are asked once. Empty where it is not known, or one file.
        fill: what counts as nodata without being declared, if any.
    """

    path: str
    document: str = ""
    fill: Fill | None = None

    @classmethod
    def of(cls, source: Source) -> "Stack":
        """Return what an open stack is opened by again."""
        return cls(source.path, document_of(source.dataset), source.fill)

    def open(self) -> Source:
        """Open it, to be read as it was.

        Raises:
            InputError: it can't be read.
        """
        source = Source.open(self.path, what="stack", need_crs=False, document=self.document)
        source.fill = self.fill
        return source
