"""Answers that say odd things of their length."""

from __future__ import annotations

import socket

import pytest

from neptune_exporter.toolkit.connections import small_response


@pytest.mark.parametrize("digits", [1, 5000])
def test_of_a_length_without_sense_no_number_is_made(digits: int) -> None:
    """Python refuses to read a number of more than 4,300 digits."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"2".rjust(digits, b"9") + b"\r\n\r\n{}")
        there.shutdown(socket.SHUT_WR)
        answer = small_response(60.0)(here)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"{}")
        answer.close()
