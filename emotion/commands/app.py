"""Serve a web page on this machine: upload a picture, or use the webcam. No picture is kept or sent elsewhere.

Only this machine can open the page unless --host says otherwise. Browsers allow the webcam on localhost and https only.
"""

import argparse
import errno
import socket

from emotion.commands.terminal.options import add_model_options, predictor_from
from emotion.foundation.errors import UserError
from emotion.foundation.files import integer, number
from emotion.install_hint import install_command

_OF_PORTS = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)
_OTHER_HOST = "give --host an address or name of this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion app`."""
    add_model_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=integer, default=7860, help="default 7860; 0 picks a free one")
    parser.add_argument("--max-upload-mb", type=number, default=20.0, metavar="MB", help="largest picture (default 20)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    try:
        import uvicorn
        import websockets  # noqa: F401 (uvicorn uses it; without it the webcam fails silently)

        from emotion.web.server import MAX_FRAME_BYTES, allowed_hosts, create_app, is_loopback
        from emotion.web.serving import server_config
    except ImportError as error:
        raise UserError(f"the web page needs {error.name}: {install_command('app')}") from None
    if not 0 < arguments.max_upload_mb <= 1000:
        raise UserError(f"--max-upload-mb is {arguments.max_upload_mb}; it must be more than 0, and at most 1000")
    limit_bytes = int(arguments.max_upload_mb * 1e6)
    app = create_app(predictor_from(arguments), max_upload_bytes=limit_bytes, hosts=allowed_hosts(arguments.host))
    listener = _bound(arguments.host, arguments.port)
    listener.listen()  # from here on a request waits, rather than being refused until the server runs
    shown = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    print(f"http://{shown}:{listener.getsockname()[1]}  (Ctrl-C stops it)", flush=True)
    if not is_loopback(arguments.host):
        print("Anyone who can reach this machine can open the page.", flush=True)
    config = server_config(app, max_frame_bytes=min(limit_bytes, MAX_FRAME_BYTES))
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt as ended:
        if type(ended) is not KeyboardInterrupt:  # another signal, whose exit status emotion/cli.py knows
            raise
    return 0


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; it must be 0 to 65535")
    what = f"cannot listen on {host} port {port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except BaseException:
            listener.close()
            raise
    except UnicodeError:  # of a name that no host can have: `a..b`, a part of more than 63 letters, odd bytes
        raise UserError(f"{what} (no host has such a name); {_OTHER_HOST}") from None
    except OSError as error:
        is_port = error.errno in _OF_PORTS and not isinstance(error, socket.gaierror)
        cure = "try another --port, or --port 0" if is_port else _OTHER_HOST
        raise UserError(f"{what} ({error.strerror or error}); {cure}") from None
    return listener
