"""Errors that the user can mend: each message is one sentence (what, where, how to mend)."""


class LandslideError(Exception):
    """Base of all errors that the user can mend; the message is shown without a traceback."""


class InputError(LandslideError):
    """An input file, layer or parameter is missing, unreadable or unfit."""


class GridError(InputError):
    """Rasters or layers whose CRS, extent or pixels don't fit together."""


class ModelFileError(InputError):
    """A model file that is damaged, unsafe, of another kind or wants other bands."""


class DivergedError(InputError):
    """A training whose loss is not a number any more."""


class OutputError(LandslideError):
    """An output that can't be written: folder missing, read-only, or disk full."""


class MissingPackageError(LandslideError):
    """A package or device that the request needs is missing on this machine."""
