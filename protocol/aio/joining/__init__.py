"""Asking a hub in, for devices and for hubs alike: the CA that the token pins, then the request over proven TLS."""
