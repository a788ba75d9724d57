"""The launcher: the one part of the agent that is root. It starts workloads as whom the device's owner allows, no more.

    main.py      its options, its socket        serve.py    who calls, one bounded packet, one answer
    request.py   a packet <-> what is asked, each field checked; nothing of it is believed
    policy.py    the device's own allow-list: a pure function from what is asked to why not
    start.py     what becomes a shim: a fork, confined, that executes shim.sh       landlock.py    its last step
    living.py    what was started: signals, wardens, leftovers     house.py    its records, its forks
    groups.py    cgroups, of both versions      kernel.py   what Python has no call for
    able.py      what can be enforced here, and why not the rest
    give.py      the service's folder goes to its user

Architecture Invariant: it imports the standard library, our bounds and one small module of ours, opens no file by a
name that the agent's user could have put in the way, loads nothing of a document before the workload has its user, and
decides nothing but whether the owner allows it. What to ask is the core's to decide; what is asked is done whole or not
at all.
"""
