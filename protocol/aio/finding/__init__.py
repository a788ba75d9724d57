"""Hubs on the local network: what they say of themselves (`words`), who carries it (`mdns`), what counts (`proof`)."""
