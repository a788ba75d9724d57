"""Power loss at any moment of a store's life, without root: what SQLite asks of a disk is logged, and rebuilt in parts.

    disk.py     a disk in memory that logs each write, cut, sync, name made and name removed
    vfs.py      the disk as SQLite sees it
    logged.py   the journal's file over such a disk
    story.py    a life of a journal: commits of every kind, and what it holds after each, from an independent model
    crash.py    the disk as a crash at a moment of the log may leave it
    verdict.py  opens what was left with the journal's own code and compares

What counts as possible after a crash: all that was synced, and of the rest any part, torn at sectors of 512 bytes and
in any order; bytes beside those that were written stay (as Linux's file systems promise and SQLite relies on). After a
failed sync no later one saves what it was to save: Linux forgets such pages.
"""
