"""`view`: serve the pages, and open the browser."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import threading
import webbrowser

import click

from neptune_exporter.contract import DatasetView, UsageError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free port.")
@click.option("--no-browser", is_flag=True, help="Only print the address; open no browser.")
def view(dataset: DatasetView, host: str, port: int, no_browser: bool) -> int:
    """Look at a dataset in the browser: runs, curves, texts, images and files.

    Nothing is written and nothing leaves this machine. Ctrl-C ends it. With --host, everybody who reaches
    that address can read the dataset.
    """
    listening = _listen(host, port)
    name, port = _name(host), listening.getsockname()[1]
    address = f"http://{name}:{port}/"

    from neptune_exporter_explorer.app import Server, make_app

    names = {name, host} | ({"localhost"} if _is_loopback(host) else set())
    app = make_app(dataset, {f"{each}:{port}" for each in names}, any_host=host in ("0.0.0.0", "::"))

    def started() -> None:
        click.echo(f"showing {dataset.data_path} at {address}  (Ctrl-C ends it)")
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    with contextlib.suppress(KeyboardInterrupt):  # the server shuts down, then raises the signal again
        Server(app, started).run(sockets=[listening])
    app.state.table.stop()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except socket.gaierror as error:
        raise UsageError(f"--host {host} is no address of this machine: {error.strerror}") from error
    except OSError as error:
        where, other = f"{host}:{port}", "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
        raise UsageError(f"cannot listen on {where}: {error.strerror}; choose another {other}") from error
    return listening


def _name(host: str) -> str:
    """How the host stands in an address."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
