"""Every bound, by name; the unit stands last. Nothing in Skerry grows, waits or retries without one of these.

Sizes are checked before parsing (INVARIANTS C10).
"""

KIB = 1024
MIB = 1024 * KIB

# --- bytes on a link
MESSAGE_BYTES_MAX = 1 * MIB  # one MQTT payload, decompressed
PACKET_BYTES_MAX = MESSAGE_BYTES_MAX + 4 * KIB  # one MQTT packet
ENTRIES_BYTES_MAX = 512 * KIB  # the rows of one Entries message
ENTRIES_COUNT_MAX = 2_000  # the rows of one Entries message
ENTRIES_GAPS_MAX = 8  # of those, GAPs: a parent checks a signature for each
ENTRIES_POISON_KEPT = 4  # of those, rows that are no entries and are set aside; all are counted
ENTRY_BYTES_MAX = 64 * KIB  # one entry's body
ROW_BYTES_MAX = ENTRY_BYTES_MAX + 4 * KIB  # one row: a body at its bound, and the words around it
RELAY_RUN_BYTES = 128 * KIB  # a hub wraps rows of one origin together up to so many
RELAY_BODY_BYTES_MAX = 256 * KIB  # the body of one row of `relay`
RELAY_ROW_BYTES_MAX = RELAY_BODY_BYTES_MAX + 4 * KIB
ENTRY_NAME_BYTES_MAX = 128  # one entry's kind or key
GAP_KEY_CHARS_MAX = 256  # of the public key in a GAP: of Ed25519 or of an elliptic curve
ROW_KIND_CHARS_MAX = 128  # of a row's kind, as it arrives
ROW_KEY_CHARS_MAX = 256  # of a row's key, or the reason of a GAP, as it arrives
SEAL_PROOF_BYTES_MAX = 32 * KIB  # of who sent a message, behind it: a signature with its chain
COMPRESS_BYTES_MIN = 1 * KIB  # smaller messages cross uncompressed
DENSE_BYTES_MAX = 8 * KIB  # those of a metered child that are smaller cross packed
TOPIC_BYTES_MAX = 256
INLINE_DOCUMENTS_BYTES_MAX = 64 * KIB  # small bodies that ride along with a Desired
DOCUMENT_BYTES_MAX = 256 * KIB  # one document
MANIFEST_DOCUMENTS_MAX = 4_096
NEED_DIGESTS_MAX = 256
DOCUMENTS_BYTES_MAX = 64 * KIB  # of one answer with documents, or one document: an 8 KB/s link takes 8 s for it
CSR_BYTES_MAX = 4 * KIB
INTEGER_MAX = 2**53 - 1  # what JSON carries exactly, SQLite stores and a float holds
WORD_CHARS_MAX = 256  # of a name, a hash or a reason in a child's message
LINK_STREAMS_MAX = 16  # streams that one message names
JSON_DEPTH_MAX = 64  # of a body: what nests deeper is read by nobody
COMPRESSION_RATIO_MAX = 128  # what shrinks more crosses as it is: a few bytes must not become a megabyte

# --- credit and timers of a link
CREDIT_ROWS = {  # unacked rows
    "audit": 4_000,
    "state": 8_000,
    "metrics": 4_000,
    "logs": 4_000,
    "relay_audit": 8_000,
    "relay_state": 8_000,
    "relay_metrics": 8_000,
    "relay_logs": 8_000,
}
CREDIT_BEHIND_ROWS = 1_000  # a child that is behind by more has a backlog
CREDIT_ROWS_TOTAL = 64_000  # of each stream, shared by all children of a parent that have a backlog
CREDIT_ROWS_MIN = 128  # of one child, however many have a backlog
HELLOS_BURST = 16  # of one child, heard at once; what is beyond these rates costs a parent nothing
HELLOS_EVERY_S = 1.0
STATUSES_BURST = 20
STATUSES_EVERY_S = 0.1  # the newest waits
NEEDS_BURST = 512  # an agent with all its services new asks for each ticket
NEEDS_EVERY_S = 0.05
RENEWS_BURST = 4
RENEWS_EVERY_S = 60.0
ACKED_APART_ROWS = 256  # a child stores its parent's cursor this seldom: it spares the card, and Welcome tells it anew
PACE_BYTES_START = 64 * KIB  # of entries under way on a link that nothing is known of
PACE_BYTES_MIN = 4 * KIB
PACE_BYTES_MAX = 4 * MIB
PACE_QUICK_S = 1.0  # an ack that takes less lets more be under way
PACE_SLOW_S = 4.0  # an ack that takes more: so long, at most, what is new waits behind what is old
ACK_WAIT_S = 10.0  # no ack of sent rows: send again from the cursor, and wait twice as long
ACK_WAIT_S_MAX = 40.0
NEED_WAIT_S_MAX = 320.0  # documents that were asked for do not come: asked for again, after waits that double
HELLO_WAIT_S = 15.0  # no Welcome: close and connect again
ACK_MISSES_MAX = 3  # then the link is closed and opened again
STATUS_EVERY_S = 60.0  # a live child repeats its status
STATUS_SETTLE_S = 0.05  # changes within this time share one Status
CONTACT_EVERY_S = 60.0  # the contact interval a parent expects unless its profile says otherwise
CONTACT_MISSES_MAX = 3
CONTACT_S_MIN = 60.0  # the shortest and the longest contact interval that a metered device may declare
CONTACT_S_MAX = 43_200.0
CONTACT_S_METERED = 3_600.0  # unless it says another
CONTACT_OPEN_S = 30.0  # after a word of its parent a metered child says at once what is new
BACKOFF_S_MIN = 0.5
BACKOFF_S_MAX = 60.0
BROKER_BACKOFF_S_MAX = 5.0  # of a hub whose broker is away
REFUSED_RETRY_S = 300.0  # a quarantined child asks again this seldom
KEEPALIVE_S = 30
KEEPALIVE_SHARE = 1.5  # of a metered child's contact interval: its own words come first, and spare it
SILENT_S_MAX = 30.0  # a metered child's words that nothing confirms for so long went nowhere: it connects again
CONNECT_WAIT_S = 15.0
SEND_QUEUE_BYTES_MAX = 8 * MIB  # of a client, not yet taken by its socket; beyond it messages are dropped
LOOKS_PER_S_MAX = 200  # of a parent that starts
LOOKS_EVERY_S = 0.1  # some of its children are told to look, each time
LOOK_AGAIN_S = 5.0  # a child that speaks without a session is told to look again, this seldom
EPOCHS_KEPT_MAX = 16  # of a child's stream, at the parent
ORIGINS_OF_CHILD_MAX = 100_000  # streams of nodes below one child hub, in all epochs that are remembered
RELAY_ALARMS_MAX = 16  # that one message of a child hub raises
MISSING_KEPT = 64  # ranges that one stream of such a node lacks here, listed; beyond them the lowest is only counted
MISSING_OF_CHILD_MAX = 100_000  # such ranges of all below one child hub: one takes some 450 bytes
HELD_EVERY_S = 900.0  # what policy holds back of one stream is told upward this seldom: a signed word takes 0.5 KB
HELD_PER_INPUT_MAX = 64  # of such words, signed by one input
HELD_SHARE_BYTES = 8 * KIB  # of a relay's share, for each word about forced-out rows under way: one takes some 0.7 KB
LOSSES_KEPT = 16  # declared ones of a child's stream, listed at the parent; the sum counts all

# --- stores
LAZY_COMMIT_S = 1.0
INBOX_INPUTS_MAX = 10_000
BATCH_INPUTS_MAX = 512  # inputs that share one commit
RELAY_BYTES = 512 * MIB  # of what a hub relays, in all
QUOTA_BYTES = {
    "audit": 64 * MIB,
    "state": 64 * MIB,
    "metrics": 16 * MIB,
    "logs": 16 * MIB,
    "relay_audit": 128 * MIB,
    "relay_state": 224 * MIB,
    "relay_metrics": 128 * MIB,
    "relay_logs": 32 * MIB,
}
DEVICE_QUOTA_BYTES = 256 * MIB  # of a device's journal and telemetry on disk, unless enrollment says otherwise
DEVICE_QUOTA_BYTES_MIN = 32 * MIB
QUOTA_SHARES = {"audit": 3, "state": 4, "metrics": 4, "logs": 1, "papers": 1, "wal": 3}  # of a device's quota
SEGMENT_ROWS = 1_024  # the grain of trimming
LOSS_NOTED_EVERY_S = 3_600.0  # a device that loses rows all the time says so in its audit this often, for each stream
BATCH_BYTES_MAX = 1 * MIB  # of own rows that share a commit, beyond which no further input joins: it bounds the WAL
BUSY_WAIT_S = 5.0
BATCH_S_MAX = 0.02  # of handling before a commit, however many inputs wait
CLOCK_LOOK_S = 60.0  # the driver looks at the clock at least so often: a sleeping device's timers sleep too
SETTLED_AFTER_S = 10.0  # after its start an agent gives back what only that needed: by then the link has been live once
STORE_RETRY_S_MIN = 0.1  # after a commit that failed
STORE_RETRY_S_MAX = 5.0
TAIL_BYTES = 1 * MIB  # newest rows of one stream, kept in memory until they are acked
WAL_PAGES = 1_000  # a checkpoint each time the write-ahead log has grown to so many
WAL_BYTES_MAX = 256 * MIB  # of a hub's; a device's is a share of its quota
WAL_BYTES_KEPT = 4 * MIB  # of the write-ahead log's file, after a checkpoint
STORE_CACHE_KIB = 2_048  # pages that SQLite keeps in memory, for each file
DEVICE_STORE_CACHE_KIB = 512  # an agent's: as fast, measured, for it appends and reads on
QUICK_CHECK_BYTES_MAX = 256 * MIB  # larger stores are not read whole after an unclean end
NEWEST_ROWS_CHECKED = 256  # of each stream, against their hashes, after an unclean end
HOLES_MAX = 64  # of one stream, left by damage; beyond them the lowest become one
DAMAGED_FILES_KEPT = 2  # set aside beside a store; the oldest goes first
AHEAD_NAMED_MAX = 3  # devices that are ahead of a restored hub, in the text that says so
LOST_NAMED_MAX = 5  # nodes whose records a store lost, in the text that says so
RECOVERY_ROOM_BYTES = MIB  # that stays free beside what a recovery may write
ASIDE_KEPT_ROWS = 1_000  # entries set aside; whose are most gives way first, its oldest
ASIDE_KEPT_OF_NODE_ROWS = 100  # of one node, the newest
CHANNELS_KNOWN_MAX = 50_000  # streams of nodes whose place in a store is kept in memory
RETIRE_ROWS = 5_000  # entries that one step of retention counts or deletes

# --- the front door and the API
CONNECTIONS_MAX = 20_000
ADMISSIONS_PER_S = 1_000
ADMISSIONS_BURST = 16  # handshakes begun at once, after a quiet time or by a hub that was busy
ADMISSIONS_WAITING_MAX = 4_000  # connections in the waiting room; more than can be admitted within ADMISSION_WAIT_S
ADMISSION_WAIT_S = 10.0  # a client that waited longer has given up
ADMISSION_LOOK_S = 0.05  # between looks at whether the door is still crowded
HANDSHAKE_WAIT_S = 15.0  # from admission to a whole CONNECT
CONNECT_BYTES_MAX = 16 * KIB  # a CONNECT packet, before anything is known of the client
KEEPALIVE_S_UNSAID = 300  # a client that asks for none is told this
KEEPALIVE_S_MAX = 64_800  # and one that asks for more, this
RECEIVE_BUFFER_BYTES = 256 * KIB  # one for all connections of a process
INPUT_BYTES = 1 * KIB  # what a message costs in an inbox beside its payload
CHILD_INFLIGHT_BYTES_MAX = 2 * MIB  # of one child, received but not committed: then its socket is not read
DOOR_INFLIGHT_BYTES_MAX = 64 * MIB  # of all children together; then only those are read on that have little there
EXPRESS_BYTES = 16 * KIB  # of one child, under way without waiting for its turn
ROW_WORK_BYTES = 64  # what a row costs in a line beside its own bytes: two bytes of poison are work too
GAP_WORK_BYTES = 2 * KIB  # and a GAP, whose signature is checked
TURNS_BYTES = 256 * KIB  # of the children that take turns, under way at a time: they share a commit
DENIALS_MAX = 16  # forbidden or unreadable packets of one connection, then it is closed
GOODBYE_WAIT_S = 2.0  # for what is buffered to leave, on a stop
WRITE_BUFFER_BYTES_MAX = 2 * MIB
RECEIVE_MAX = 64  # unacknowledged QoS 1 publishes of one client
SUBSCRIPTIONS_MAX = 8
REQUEST_BYTES_MAX = 4 * MIB
PAGE_ROWS_MAX = 10_000
NODES_PAGE_MAX = 250  # nodes that one answer lists; who wants more asks for the next page
NODES_LOOKED_AT_MAX = 2_500  # nodes that one page looks at, whatever its selector takes
WATCHERS_MAX = 1_000
WATCHER_TOPICS_MAX = 1_000  # that wait for one; of more it is told to look at everything
STOP_SETTLE_WAIT_S = 5.0  # what was heard before a daemon's stop is stored in that time, or comes again
ENROLLMENTS_PER_S = 50
INSTALLS_PER_CALLER_S = 20  # installers and packages, to one address that is nobody yet: a site may have but one
PACKAGES_MAX = 64  # that a hub holds for its devices
DEB_CONTROL_BYTES_MAX = 1 * MIB  # of the control archive of a package, packed and unpacked
DEB_MEMBERS_MAX = 16  # of a package: deb(5) has three
DRAIN_BYTES_MAX = 4 * REQUEST_BYTES_MAX  # of a refused request, read so that its sender hears why
ENROLL_BYTES_MAX = 16 * KIB  # one enrollment request
REQUEST_WAIT_S = 30.0  # for a request's whole body, and for the core's answer to it
API_REQUESTS_MAX = 2_000  # under way at a time, streams included
API_KEEP_ALIVE_S = 60  # for the next request on a connection
API_GOODBYE_S = 3  # for requests that are under way at a stop
UPLOADS_MAX = 8  # of artifacts at a time
UPLOAD_WAIT_S = 60.0  # for the next bytes of an upload
READERS_MAX = 4  # threads that read the store for the API
READ_WAIT_S = 10.0  # of one query
STREAM_BEAT_S = 0.02  # a stream over many nodes gathers changes this long
STREAM_ALIVE_S = 15.0  # an empty line tells who follows that the stream lives
STREAM_TASKS_MANY = 100  # tasks; a stream of more gathers changes for STREAM_BEAT_S
TASK_WAIT_S_MAX = 86_400.0
LOG_FOLLOW_S = 600.0  # one question of a followed log; then it is asked again
LOG_PARTS_WAITING_MAX = 64  # of one followed log, heard and not yet read by who follows
EVENT_PAGE_ROWS = 1_000
ENTRIES_KEPT_ROWS = 50_000_000  # of children's entries, at a hub
ENTRIES_KEPT_DAYS = 90
ENTRIES_KEPT_BYTES = 64 * 1024 * MIB  # of all children; who holds most gives way first
RETAIN_AWAY_S_MAX = 7 * 86_400.0  # by which history ages while a hub is down, at most: a wall clock may jump
RETAIN_EVERY_S = 600.0
TLS_LOOK_S = 3_600.0  # between looks at the hub's own TLS certificate

# --- trust
TOKEN_BYTES_MAX = 512  # of a token as text, a device's or an operator's, and of a ticket
TOKEN_TTL_S_DEFAULT = 3_600.0
TOKEN_TTL_S_MAX = 30 * 86_400.0
TOKEN_USES_MAX = 10_000
CA_DAYS = 3_650
CERTIFICATE_DAYS = 90
REGION_CA_DAYS = 365  # of the CA of a hub below another; renewed by its parent
HUB_CERTIFICATE_DAYS = 825  # of the hub's own TLS certificate; it renews itself
CHAIN_BYTES_MAX = 16 * KIB  # of a certificate chain in PEM
CHAIN_CERTIFICATES_MAX = 6  # a leaf under TIERS_MAX CAs
SCOPE_CHARS_MAX = 189  # of a hub's domain: what names a device in it is a DNS name of 253 at most
NOTARY_WAIT_S = 30.0  # for the helper that reads and makes certificates
WAITING_FOR_PROOF_MAX = 16  # messages behind a Welcome whose signing chain is being proven; the parent repeats the rest
SIGNERS_KEPT_MAX = 16  # signing keys a child has learned of its parents
RENEW_AT_SHARE = 0.66  # of a certificate's life, with jitter
RENEW_RETRY_S = 300.0
RENEW_APART_AFTER_S = 30.0  # turned away by its transport for so long, a device asks at the hub's API
RENEW_APART_S_MIN = 10.0  # between two such questions, and before the first: jitter spreads them
RENEW_APART_S_MAX = 900.0
RENEW_APART_FRESH_S = 60.0  # a signed question holds for so long, by the hub's clock, which the device asks first
RENEW_APART_WAIT_S = 60.0  # for the helper that asks
RENEWALS_PER_S = 20  # such questions at a hub, of all devices that prove who they are; of one: RENEWS_BURST
RENEWALS_PER_CALLER_S = 10  # from one address, of whoever asks, before a signature is looked at
CALLERS_MAX = 4_096  # addresses that are known of at a time
SIGNATURE_CHARS_MAX = 128  # of a P-256 signature in base64
RENEW_LOOK_S = 3_600.0  # the wall clock is looked at this often while a certificate waits for its renewal
PAPERS_ANSWER_BYTES_MAX = 32 * KIB  # of a device's: a certificate with its chain, and the words around them
CERTIFICATE_HOSTS_MAX = 64  # names and addresses in a hub's TLS certificate
RENEWAL_ANSWER_BYTES_MAX = 2 * CHAIN_BYTES_MAX  # a chain, and the words around it
TICKET_TTL_S = 900.0
TICKET_WAIT_S = 60.0  # no ticket came: ask again

# --- finding a hub on the local network
ANNOUNCE_LOOK_S = 60.0  # between looks at the networks that a hub announces itself on
ANNOUNCE_GOODBYE_S = 1.0  # for a hub that stops to say so
ANNOUNCED_CHARS_MAX = 240  # of one value: with its name it fits into the 255 bytes of a TXT string (RFC 6763, 6.1)
DISCOVER_WAIT_S = 3.0  # one listens so long for hubs
DISCOVER_AFTER_S = 120.0  # a hub that cannot be reached for so long is looked for elsewhere
DISCOVER_S_MIN = 60.0  # between two such looks: jitter spreads them
DISCOVER_S_MAX = 3_600.0
DISCOVER_HELP_S = 60.0  # for the helper that looks
DISCOVER_ANSWER_BYTES_MAX = 8 * KIB  # of its answer
DISCOVER_TRY_S = 3.0  # for one address to prove itself
MEETING_CA_BYTES_MAX = 64 * KIB  # of the root that a hub shows who holds its pin
DISCOVER_ASK_MS = 2_000  # for a hub that was heard of to say where it is
HOST_CHARS_MAX = 253  # of a host's name or address
FOUND_HUBS_MAX = 64  # heard at a time
FOUND_HOSTS_MAX = 8  # of one hub
REHOME_AFTER_S = 86_400.0  # without contact to its hub a device that has a grant looks whether that is gone for good
HAVENS_MAX = 8  # that a grant lists, beside the hub that it is of
MOVE_SAID_MAX = 2**31  # what a region says that this hub said of a node is believed up to this number of it
MOVES_OPEN_MAX = 1_000  # nodes on their way from one hub to another, at the hub above both
FOUND_TRIES_MAX = 32  # addresses that one look tries
FOUND_DOUBTS_SAID_MAX = 4  # of those, why so many were not it

# --- artifacts
ARTIFACT_BYTES_MAX = 512 * MIB
ARTIFACT_UNPACKED_BYTES_MAX = 2_048 * MIB
ARTIFACT_FILES_MAX = 20_000
ARTIFACT_CHUNK_BYTES = 1 * MIB
ARTIFACTS_BYTES_MAX = 64 * 1024 * MIB  # of all artifacts at a hub
ARTIFACTS_SPARE_S = 30 * 86_400.0  # nothing names it: for so long it stays at a hub
ARTIFACTS_SPARE_S_MIN = 3_600.0  # and for so long even when there is no more room: an upload comes before its `apply`
ARTIFACTS_LOOK_S = 1_800.0  # between looks at what names which
ARTIFACTS_KEPT = 2  # unused ones of a service that stay for going back offline
FETCH_WAIT_S = 3_600.0
FETCH_TRIES_MAX = 8
FETCH_PROGRESS_S = 60.0  # for the next bytes of a download
UNPACK_PATH_BYTES_MAX = 1_024  # of one member's name; Linux takes 4,096 with the folder in front (PATH_MAX)
UNPACK_CHUNK_BYTES = 256 * KIB  # of one member, written at a time
UNPACK_WINDOW_BYTES_MAX = 32 * MIB  # of zstd's memory; who packs with a larger window is refused
HELPER_OUTPUT_BYTES_MAX = 16 * KIB  # what a helper process says that fetches, unpacks or reads a stick

# --- workloads
STOP_GRACE_S = 10.0
STOP_GRACE_S_MAX = 600.0
RESTART_BACKOFF_S_MIN = 1.0
RESTART_BACKOFF_S_MAX = 300.0
RESTART_RESET_S = 600.0  # running this long resets the backoff
LOG_BYTES_MAX = 1 * MIB  # of one file of stdout or stderr
LOG_FILES_MAX = 4
TASK_OUTPUT_BYTES_MAX = 64 * KIB
TASK_STREAM_BYTES_MAX = 28 * KIB  # of stdout and of stderr in a task's result, so that both fit into one entry
TASK_TIMEOUT_S_DEFAULT = 30.0
TASK_TIMEOUT_S_MAX = 86_400.0
TASKS_OPEN_MAX = 256  # of one node
TASKS_PAST_KEPT = 1_000  # ended ones whose ids a device remembers: a restored hub may ask for them again
EMIT_ITEMS_PER_BATCH_MAX = 2_000
EMIT_ITEMS_PER_S_MAX = 200_000  # of one workload
EMIT_CONNECTIONS_MAX = 64
EMIT_LINGER_S = 0.15  # a first item waits this long for a second one, to share its commit
EMIT_SHARE_S = 0.8  # what talks on shares a commit for so long; below LAZY_COMMIT_S, so that the last ack rides along
EMIT_WAITS_S = 60.0  # a connection that was seen to wait for its answers is answered at once, for so long
EMIT_TOGETHER_MAX = 32  # a batch of more items is worth a commit of its own
EMIT_HABITS_MAX = 256
PROBE_INTERVAL_S_MIN = 1.0
PROBE_TIMEOUT_S = 5.0
VITALS_EVERY_S = 60.0
VITALS_TOGETHER = 5  # samples that share a commit and a message: a page of the card for each takes 20 MB a day
SERVICES_MAX = 256  # of one agent
FILES_INLINE_BYTES_MAX = 64 * KIB
LOG_LOOK_EVERY_S = 1.0  # how often the sizes of log files are looked at
LOG_LINE_BYTES_MAX = 4 * KIB  # of one line as it is shown; longer ones are cut
LOG_TAIL_STEP_BYTES = 64 * KIB  # a log's end is sought backwards in such steps
PROCESS_LOOK_EVERY_S = 0.5  # of processes that the kernel does not tell us about
PROCESS_KILL_WAIT_S = 5.0  # after SIGKILL, for a group to be gone
CHILD_LOOK_S = 0.05  # between looks at a child that the kernel does not tell us about
OUTPUT_CHUNK_BYTES = 64 * KIB  # of a child's output, read at once
PROCESS_REAP_S = 0.2  # between looks at shims of ours that are about to end
PROCESS_STARTING_S = 2.0  # for a launch that is under way when an agent starts again
PROCESS_STOP_LOOK_S = 0.02  # while a group is being stopped, or a shim is about to record the end
SHIM_NOTES_BYTES_MAX = 4 * KIB  # what a shim says of a launch that failed
EMIT_LINE_BYTES_MAX = ENTRY_BYTES_MAX + 4 * KIB
EMIT_ITEMS_WAITING_MAX = 8_000  # of one connection, read and not yet committed
EMIT_WAITING_BYTES_MAX = 1 * MIB  # of these
EMIT_FINISH_BYTES_MAX = 4 * MIB  # read of one connection whose workload has ended
EMIT_REPLIES_BYTES_MAX = 64 * KIB  # unread replies: who has more never reads them, and is let go
EMIT_RECENT_MAX = 256  # instances that spoke, known a while after their end
EMIT_BACKLOG_MAX = 64  # connections of one workload that wait to be accepted
EMIT_AHEAD_S = 0.05  # how far a workload may run ahead of its rate
EMIT_CHUNK_BYTES = 256 * KIB  # read of one connection at once
FETCHES_MAX = 2  # downloads of one agent at a time
PROBES_MAX = 8  # probes of one agent at a time
ISOLATION_PATHS_MAX = 64  # of one list of paths in a service's isolation
ISOLATION_GROUPS_MAX = 32
LAUNCHER_WAIT_S = 10.0  # for the launcher to say what it can, when an agent starts
LAUNCHER_REQUEST_BYTES_MAX = 128 * KIB  # one packet; the kernel holds twice as much of them
LAUNCHER_ANSWER_BYTES_MAX = 4 * KIB
LAUNCHER_HANDLES_MAX = 8  # open files that come with one
LAUNCHER_WORDS_MAX = 4_096  # of one list in a request
LAUNCHER_NUMBER_MAX = 2**60  # in a request
LAUNCHER_CALLER_S = 2.0  # of the launcher's patience with one who says nothing
LAUNCHER_REQUEST_S = (
    30  # for one request; then it ends, and its socket starts another: a file may take for ever to close
)
LAUNCHER_IDLE_S = 60.0  # without a request, after which it ends
LAUNCHER_FORGET_EVERY = 64  # launches, after which it looks what has ended
LAUNCHER_BACKLOG = 64  # of requests, at a socket of its own making
LAUNCHER_ASK_S_MIN = 1.0  # between two questions to one that did not answer: doubled each time
LAUNCHER_ASK_S_MAX = 60.0
LAUNCHER_AGAIN_S = 1.0  # after it could not be told to send a signal
PROBE_TEXT_BYTES_MAX = 1 * KIB
PROBE_REPLY_BYTES_MAX = 4 * KIB  # the head of an answer by HTTP

LEASE_S = 120.0  # of a service with `at_most_one` whose hub replaces nobody
LEASE_S_MIN = 15.0
LEASE_S_MAX = 3_600.0
LEASE_ASKED_SHARE = 3  # a device asks for its leases so often within one
LEASE_REQUESTS_KEPT = 16  # moments of requests that may still be answered
FAILOVERS_PER_INPUT_MAX = 16  # services that one input looks at
FAILOVER_RETRY_S = 30.0  # nobody can take over: looked for again so seldom
LEASE_SLACK_S = 5.0  # by which a device may end a service late: its shell's looks (2 s), and SIGKILL
LEASE_DRIFT_SHARE = 0.01  # of a lease, by which the clocks of a device and of its hub run apart
ABSENCE_NOTED_S_MAX = 300.0  # a device that counts its absence notes it at least so often: a reboot forgets no more

# --- workflows
STEPS_MAX = 2_048
RUNS_ACTIVE_MAX = 64  # of one agent
RUNS_KEPT = 50  # ended ones, of one workflow
STEP_ATTEMPTS_MAX = 100
STEP_TIMEOUT_S_MAX = 7 * 86_400.0
OUTPUT_BYTES_MAX = 16 * KIB  # of one step
SET_STEPS_PER_INPUT_MAX = 256
CATCH_UP_FIRINGS_MAX = 100
FIRING_LATE_S_MAX = 30.0  # a firing that is later than this was missed
CLOCK_MS_MAX = 250_000_000_000_000  # year 9892: a calendar ends with 9999, and a schedule looks 50 years ahead
CLOCK_BACK_S_MAX = 3_600.0  # a wall clock further behind the last firing than this is not trusted to count missed ones
WALL_LOOK_S = 60.0  # the wall clock is looked at this often while something waits for it
STEP_TAIL_BYTES_MAX = 2 * KIB  # of a failed step's stderr, in its entry
REPORT_STEPS_MAX = 32  # a longer run is reported without its steps
TIMEOUT_SLACK_S = 2.0  # what the shell gets to enforce a timeout before the core does
PARALLEL_STEPS_MAX = 8  # processes of one run at a time

# --- control and questions
CONTROL_LINE_BYTES_MAX = 256 * KIB
CONTROL_CONNECTIONS_MAX = 32  # root's; and those of all others together
CONTROL_CONNECTIONS_EACH_MAX = 8  # of one user who is not root
CONTROL_IDLE_S = 60.0  # in which a connection's next request comes, whole
CONTROL_LOOK_S = 5.0  # whether a follower may still look is looked at this often
FOLLOW_LOOK_S = 0.25  # between looks at what a follower has not been told
CONTROL_GROUPS_BYTES_MAX = 256 * KIB  # of one caller: as many as Linux gives anybody
OWN_DOCUMENTS_MAX = 64  # services and workflows that are declared at a device
ANSWER_BYTES_MAX = 128 * KIB  # one part
ANSWER_PARTS_WAITING_MAX = 512  # of one question, heard and not yet read by who asked
ASKS_OPEN_MAX = 64
ASKS_PASSED_MAX = 1_024  # of a hub's parent, on their way to nodes below that hub
ANSWER_ERROR_CHARS_MAX = 1_024  # of why there is no answer
ASK_WAIT_S = 30.0
STATUS_WAIT_S = 3.0  # an operator looks at a device: what is not answered by then is shown as last known
TAIL_LINES_MAX = 10_000

# --- the operator's documents
SPEC_BYTES_MAX = 4 * MIB
SPEC_DOCUMENTS_MAX = 1_000
SPEC_VALUES_MAX = 100_000  # of one document, aliases counted each time
SPEC_DEPTH_MAX = 32
LABELS_MAX = 64
LABEL_BYTES_MAX = 63
MISTAKES_MAX = 50
SPREAD_KEYS_MAX = 4  # of a placement
POLICY_USERS_MAX = 64
DISCONNECT_S_MIN = 10.0  # a cut that is shorter means nothing

# --- tiers
TIERS_MAX = 5  # nodes from below the root down to a device: so many hubs and an agent make a path
ADDRESS_CHARS_MAX = TIERS_MAX * 64 - 1  # of a node below a hub: TIERS_MAX ids of 63, joined by `/`
SUBTREE_NODES_MAX = 100_000  # below all child hubs of a hub; below one of them NODES_MAX
BRIEF_BYTES_MAX = 16 * KIB  # of one node, in a roster
BRIEF_SERVICES_MAX = 64  # of one node, in its brief
BRIEF_DIGEST_CHARS = 12  # of a digest's hex digits: enough to see that two differ
BRIEF_TEXT_CHARS = 120
BRIEF_TIMES_S = 60.0  # a brief that differs in its times alone is sent again this seldom
OFFENDERS_MAX = 8  # in a hub's report, the worst ones
STATES_MAX = 16  # that the nodes of a subtree are counted by
TALLIES_MAX = 4_096  # in a hub's report; with the words around them they fit a message
OVERRIDE_MARKS_MAX = 32  # in a hub's report
ROSTER_BYTES_MAX = 32 * KIB  # of one Roster's briefs; a link of 8 KB/s takes 4 s for it
ROSTER_NAMES_MAX = 256  # that one Roster puts, and that it lets go of
ROSTER_WINDOW = 4  # Rosters on their way, not acked yet
ROSTERS_BURST = 256  # of one child hub, heard at once
ROSTERS_EVERY_S = 0.02
ROSTER_STORED_EVERY_S = 1.0  # what came in Rosters is stored so seldom: after a crash the child says it anew
ROSTER_STORED_AT_ONCE = 512
ROSTER_UNSTORED_MAX = 20_000  # of one child hub, heard and not stored yet: beyond them it is not heard
ROSTER_KEPT_BYTES_MAX = 64 * MIB  # of the briefs of all nodes below one child hub

SHARES_SETTLE_S = 1.0  # what changed below a region waits so long before shares are counted anew
ROOM_CHANGES_MAX = 4_096  # of a region's agents, told to what is counted of them; beyond them it is counted anew
SHARES_PER_INPUT_MAX = 4  # resources whose shares one input counts anew
DELEGATION_BYTES = 1 * KIB  # what a document takes that is handed to a region, beside its own text
OVERRIDE_S_MAX = 30 * 86_400.0  # the life of an override of a delegated document
VERSION_BYTES_MAX = 16 * KIB  # of a document that an entry about an override carries

# --- a hub of thousands
NODES_MAX = 20_000
GENERATIONS_KNOWN = 64  # of each device: what a parent knows that it asked for, and notices by that it was restored
RESOURCES_MAX = 4_096  # services, workflows and policies of a hub
RESOURCES_DELETED_MAX = 1_024  # names whose own generations are kept; those of the others have one floor
FENCE_DIGITS = 10  # of a fence as text: fences are compared as text, so none may ever need more
FENCE_SAID_MAX = 10**9  # a higher one that a child names is no fence of ours: there must be room above it
TOKENS_MAX = 1_000
ENROLLMENTS_PENDING_MAX = 256  # certificates asked for and not issued yet
FACTS_MAX = 32
FACT_BYTES_MAX = 256
ALARMS_KEPT_MAX = 16  # of one node
KNOCKS_MAX = 64  # devices remembered that a hub turned away because it does not know them
KNOCK_KEPT_S = 3_600.0
DELEGATE_NODES_PER_INPUT_MAX = 64  # manifests made by one input
DELEGATE_SETTLE_S = 0.05  # what a node need not hear at once waits for company
GROUPS_KEPT_MAX = 500  # of tasks
TASK_LINGER_S = 7 * 86_400.0  # past its deadline a task stays listed, so that the device refuses and reports it
RESULTS_BYTES_MAX = 64 * MIB  # outputs of tasks kept by a hub
RESULT_CLIPPED_BYTES = 4 * KIB  # what stays of an output when there is no more room
FORGET_KEYS_PER_INPUT_MAX = 256
RUNS_KEPT_AT_HUB_MAX = 10_000
RUNS_KEPT_OF_NODE_MAX = 1_000  # of those: no node pushes the others' out
NOTES_OF_NODE_BURST = 100  # entries of the hub's own that one node brings about at once, by what its link does
NOTES_OF_NODE_EVERY_S = 6.0  # and then one in so many seconds: no node fills the fleet's trail
RELEASE_ASKED_S_MAX = 7 * 86_400.0  # a request for an override lapses

# --- upgrades of the agent
UPGRADE_CONFIRM_S = 120.0  # for a new version to say that all is well
UPGRADE_CONFIRM_S_MIN, UPGRADE_CONFIRM_S_MAX = 10.0, 3_600.0
UPGRADE_WAVES_MAX = 16
UPGRADE_ONLY_MAX = 256  # nodes that an Upgrade names
UPGRADE_PACKAGES_MAX = 16  # of one version, each for another Debian or another machine
UPGRADE_SETTLE_S = 1.0  # in which a hub gathers what changes before it looks how far its waves are
UPGRADE_SILENT_S = 60.0  # beside the time to confirm: who was at it and is not heard for longer is as bad as gone back
UPGRADE_OFFLINE_S = 30.0  # a new version that hears no hub by then is judged by its work alone
UPGRADE_SPARE_BYTES = 32 * MIB  # that stay free beside a version that is unpacked
UPGRADE_LOOK_S = 0.5  # of root's part, at what the agent on trial says
UPGRADE_TRIES_MAX = 2  # trials of one version that a device may be stopped in
UPGRADE_ENDS_MAX = 3  # ends of a version on trial, by itself
UPGRADE_HUB_CONFIRM_S = 300.0  # for a new version of a hub to say that all is well: its store may have to be changed
UPGRADE_RETURN_S = 60.0  # a hub on trial waits so long for who was connected, and half its time at most
UPGRADE_ANSWER_S = 30.0  # in which a hub on trial must answer to itself
UPGRADE_FAULT_CHARS_MAX = 500  # of what a version on trial says against itself
UPGRADE_SHOW_S = 0.5  # of who waits for an upgrade, at how far it is

# --- the doctor
DOCTOR_WAIT_S = 15.0  # for all checks together, which look at the same time; what has not ended then is said to hang
DOCTOR_DIAL_S = 5.0  # for each step of reaching a peer
DOCTOR_ALERT_S = 0.5  # for a peer that has seen our certificate to say no
DOCTOR_STORE_S = 5.0  # of reading one store; a larger one is not read whole
DOCTOR_DISK_BYTES_LOW = 200_000_000  # less room is a warning
DOCTOR_DISK_BYTES_MIN = 16 * MIB  # less room is a problem
DOCTOR_INODES_LOW = 2_000
DOCTOR_INODES_MIN = 100
DOCTOR_MEMORY_BYTES_LOW = 32 * MIB
DOCTOR_OPEN_FILES_LOW = 2_048  # of an agent; a hub needs one for each connection
DOCTOR_OFFSET_S_LOW = 10.0  # a clock further off than this is a warning
DOCTOR_OFFSET_S_MAX = 3_600.0  # and further off than this a problem
DOCTOR_JUMP_S = 1.0  # more than this between two clocks, while the doctor looks, is a jump
DOCTOR_YEAR_MS_MIN = 1_704_067_200_000  # 2024: a clock before it was never set
DOCTOR_RENEW_SHARE = 0.9  # of a certificate's life: later than this its renewal is overdue
DOCTOR_ROOT_S_LOW = 180 * 86_400.0  # a root that ends sooner is a warning
DOCTOR_FILE_BYTES_MAX = 256 * KIB  # of a key, a certificate, a configuration
DOCTOR_ANSWER_BYTES_MAX = 64 * KIB  # of a hub's answer
DOCTOR_WORD_CHARS_MAX = 256  # of what a store says of itself

# --- bundles: the link with files for a transport
BUNDLE_HEAD_BYTES_MAX = 2 * MIB  # what a bundle says of itself: a whole manifest's digests fit
BUNDLE_PARTS_MAX = 8_192  # documents and artifacts, or messages with rows, of one bundle
BUNDLE_DOCUMENTS_BYTES_MAX = 32 * MIB  # of one bundle, in a device's memory at once
BUNDLE_CHUNK_BYTES = 96 * KIB  # of a part, in one line to an agent's control socket
BUNDLE_ROWS_BYTES = 256 * KIB  # of the rows of one part, about
BUNDLES_OPEN_MAX = 64  # that a hub takes at a time: each of another node
