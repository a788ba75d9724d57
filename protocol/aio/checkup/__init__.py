"""Finds out the facts that a doctor judges (protocol.doctor). Everything here only reads, and is bounded in time.

Not imported by any daemon.
"""
