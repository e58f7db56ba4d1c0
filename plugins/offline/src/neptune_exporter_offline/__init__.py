"""Reads `.neptune` folders of both Neptune clients, without a server and without writing to them."""
