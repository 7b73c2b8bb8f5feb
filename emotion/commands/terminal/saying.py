"""What a subcommand says on stderr; where that is full or gone, there is nobody to tell, and the work goes on."""

import os
import sys
from typing import TextIO

from emotion.foundation.errors import shown


def tell(text: str) -> None:
    """Print `emotion: …` on one line of stderr; a full disk or a reader that left is no error."""
    try:
        print(f"emotion: {shown(text)}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let a stream that cannot be written lead nowhere, or Python would try again at its end, and fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
