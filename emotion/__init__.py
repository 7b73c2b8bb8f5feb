"""Facial-emotion recognition: the library that the stages are made of and that the `emotion` command uses.

The names offered here are imported when first used, so that importing one module imports no other. No stage uses them,
as an edit of what is behind them would re-run nothing.
"""

from typing import TYPE_CHECKING

__all__ = ["Predictor", "__version__", "predict_emotion"]

if TYPE_CHECKING:
    from emotion.inference.predictor import Predictor, predict_emotion

    __version__: str
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "__version__":
            from importlib import metadata

            try:
                return metadata.version("emotion")
            except metadata.PackageNotFoundError:  # a folder that was never installed
                return "unknown"
        from emotion.inference import predictor

        return getattr(predictor, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
