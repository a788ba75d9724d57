"""Finds out how this device is, for `skerry-agent doctor`; changes nothing. Not loaded by the daemon."""
