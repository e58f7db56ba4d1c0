"""Pluto's services: addresses, requests, answers."""
