"""One MQTT 5 connection without its socket: bytes in, events and bytes out."""

from __future__ import annotations

import mqtt5
import msgspec
import pytest
from mqtt5 import ConnAckReasonCode as Connack
from mqtt5 import DisconnectReasonCode as Reason
from mqtt5 import PubAckReasonCode as Puback
from mqtt5 import QoS
from mqtt5 import SubAckReasonCode as Suback

from hub.shell.door import packets
from hub.shell.door.session import Arrived, Event, Joined, Over, Phase, Reachable, Session, Unreadable, Verdict
from protocol import codec, limits, messages, topics

HELLO = messages.Hello(session=1, nonce="aa", node="a1", version="1")
BYE = messages.Bye(session=1, nonce="aa", reason="the connection broke")
UP = topics.up("hub", "a1", "hello")
CTL = topics.up("hub", "a1", "ctl")
LOOK = messages.Look(incarnation="i1")


def fresh(verdict: Verdict = Verdict.ADMITTED) -> Session:
    return Session(hub="hub", node="a1", verdict=verdict)


def feed(session: Session, *sent: bytes) -> list[Event]:
    return session.receive(memoryview(b"".join(sent)))


def answers(session: Session) -> list[mqtt5.Packet]:
    data, session.out = bytes(session.out), bytearray()
    found = list[mqtt5.Packet]()
    while data:
        packet, size = mqtt5.read(memoryview(data))
        found.append(packet)
        data = data[size:]
    return found


def connect(client_id: str = "a1", will: mqtt5.Will | None = None, **options: int) -> bytes:
    return mqtt5.ConnectPacket(client_id, clean_start=True, will=will, keep_alive=options.get("keep_alive", 30)).write()


def joined(will: mqtt5.Will | None = None) -> Session:
    session = fresh()
    assert feed(session, connect(will=will)) == [Joined()]
    answers(session)
    return session


def publish(topic: str = UP, payload: bytes = b"", qos: QoS = QoS.AT_MOST_ONCE, packet: int | None = None) -> bytes:
    payload = payload or codec.encode(HELLO)
    if qos is not QoS.AT_MOST_ONCE and packet is None:
        packet = 1
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet).write()


def subscribe(*patterns: str) -> bytes:
    return mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(pattern) for pattern in patterns]).write()


def reason_of(session: Session) -> Reason:
    last = answers(session)[-1]
    assert isinstance(last, mqtt5.DisconnectPacket)
    assert session.phase is Phase.OVER
    return last.reason_code


def test_the_connack_says_what_is_served_here() -> None:
    session = fresh()
    assert feed(session, connect()) == [Joined()]
    (connack,) = answers(session)
    assert isinstance(connack, mqtt5.ConnAckPacket)
    assert connack.reason_code == Connack.SUCCESS
    assert (connack.max_qos, connack.retain_available, connack.max_packet_size, connack.receive_max) == (
        QoS.AT_LEAST_ONCE,
        False,
        limits.PACKET_BYTES_MAX,
        limits.RECEIVE_MAX,
    )
    assert not connack.session_present
    assert not connack.shared_subscription_available


@pytest.mark.parametrize(
    ("asked", "granted"), [(0, limits.KEEPALIVE_S_UNSAID), (30, 30), (65_535, limits.KEEPALIVE_S_MAX)]
)
def test_a_silence_is_bounded_whatever_the_client_asks(asked: int, granted: int) -> None:
    session = fresh()
    feed(session, connect(keep_alive=asked))
    (connack,) = answers(session)
    assert isinstance(connack, mqtt5.ConnAckPacket)
    assert session.keep_alive_s == granted
    assert connack.server_keep_alive == (None if asked == granted else granted)


@pytest.mark.parametrize(
    ("sent", "verdict", "code"),
    [
        (connect("a2"), Verdict.ADMITTED, Connack.CLIENT_ID_NOT_VALID),
        (connect(""), Verdict.ADMITTED, Connack.CLIENT_ID_NOT_VALID),
        (connect(), Verdict.REVOKED, Connack.BANNED),
        (connect(), Verdict.UNKNOWN, Connack.NOT_AUTHORIZED),
        (
            mqtt5.ConnectPacket("a1", authentication_method="x").write(),
            Verdict.ADMITTED,
            Connack.BAD_AUTHENTICATION_METHOD,
        ),
        (connect(will=mqtt5.Will(CTL, payload=b"x", retain=True)), Verdict.ADMITTED, Connack.RETAIN_NOT_SUPPORTED),
        (
            connect(will=mqtt5.Will(CTL, payload=b"x", qos=QoS.EXACTLY_ONCE)),
            Verdict.ADMITTED,
            Connack.QUALITY_NOT_SUPPORTED,
        ),
        (connect(will=mqtt5.Will(UP, payload=codec.encode(BYE))), Verdict.ADMITTED, Connack.NOT_AUTHORIZED),
        (
            connect(will=mqtt5.Will(topics.up("hub", "a2", "ctl"), payload=codec.encode(BYE))),
            Verdict.ADMITTED,
            Connack.NOT_AUTHORIZED,
        ),
        (connect(will=mqtt5.Will(CTL, payload=b"junk")), Verdict.ADMITTED, Connack.PAYLOAD_FORMAT_INVALID),
        (connect(will=mqtt5.Will(CTL, payload=codec.encode(HELLO))), Verdict.ADMITTED, Connack.PAYLOAD_FORMAT_INVALID),
    ],
)
def test_a_connect_is_refused_with_its_reason(sent: bytes, verdict: Verdict, code: Connack) -> None:
    session = fresh(verdict)
    (over,) = feed(session, sent)
    assert isinstance(over, Over)
    (connack,) = answers(session)
    assert isinstance(connack, mqtt5.ConnAckPacket)
    assert connack.reason_code == code
    assert connack.reason_str


def test_a_revoked_node_may_come_back_to_hear_so_and_nothing_else() -> None:
    farewell = messages.Revoked(
        incarnation="i", parent="hub", child="a1", time_ms=0, reason="stolen", key="k", signature="s"
    )

    def come_back() -> Session:
        session = Session(hub="hub", node="a1", verdict=Verdict.REVOKED, farewell=farewell)
        assert feed(session, connect()) == []
        answers(session)
        return session

    listening = come_back()
    assert feed(listening, subscribe(topics.child_filter("hub", "a1"))) == [Over("a1 is revoked")]
    _suback, told, goodbye = answers(listening)
    assert isinstance(told, mqtt5.PublishPacket)
    assert told.payload == codec.encode(farewell)
    assert isinstance(goodbye, mqtt5.DisconnectPacket)
    talking = come_back()
    assert feed(talking, publish()) == [Over("a1 is revoked")]
    assert reason_of(talking) == Reason.NOT_AUTHORIZED


def test_nothing_is_served_before_connect() -> None:
    session = fresh()
    (over,) = feed(session, publish())
    assert over == Over("the first packet was no CONNECT")
    assert answers(session) == []


def test_a_client_of_mqtt_3_is_told_so_in_its_own_words() -> None:
    session = fresh()
    feed(session, bytes.fromhex("101000044d5154540402003c000474657374"))
    assert bytes(session.out) == packets.CONNACK_3
    assert session.phase is Phase.OVER


def test_a_connect_over_its_bound_is_refused_by_its_header_alone() -> None:
    session = fresh()
    (over,) = feed(session, b"\x10\xff\xff\x7f")
    assert isinstance(over, Over)
    assert "over" in over.reason


def test_a_message_arrives_however_its_bytes_are_cut() -> None:
    data = connect() + publish() + publish(qos=QoS.AT_LEAST_ONCE, packet=7)
    for size in (1, 2, 3, 5, 11, len(data)):
        session, events = fresh(), list[Event]()
        for at in range(0, len(data), size):
            events += feed(session, data[at : at + size])
        payload = len(codec.encode(HELLO))
        assert events == [Joined(), Reachable(), Arrived(HELLO, payload, 0), Arrived(HELLO, payload, 7)]


def test_a_puback_waits_for_the_commit() -> None:
    session = joined()
    feed(session, publish(qos=QoS.AT_LEAST_ONCE, packet=7))
    assert answers(session) == []
    session.acknowledge(7)
    (puback,) = answers(session)
    assert isinstance(puback, mqtt5.PubAckPacket)
    assert (puback.packet_id, puback.reason_code) == (7, Puback.SUCCESS)


def test_more_unacknowledged_publishes_than_agreed_end_the_connection() -> None:
    session = joined()
    for packet in range(1, limits.RECEIVE_MAX + 1):
        feed(session, publish(qos=QoS.AT_LEAST_ONCE, packet=packet))
    session.acknowledge(1)
    feed(session, publish(qos=QoS.AT_LEAST_ONCE, packet=limits.RECEIVE_MAX + 1))
    assert session.phase is Phase.JOINED
    feed(session, publish(qos=QoS.AT_LEAST_ONCE, packet=limits.RECEIVE_MAX + 2))
    assert reason_of(session) == Reason.RECEIVE_MAX_EXCEEDED


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (publish(qos=QoS.EXACTLY_ONCE), Reason.QOS_NOT_SUPPORTED),
        (mqtt5.PublishPacket(UP, b"x", retain=True).write(), Reason.RETAIN_NOT_SUPPORTED),
        (mqtt5.PublishPacket(UP, b"x", topic_alias=1).write(), Reason.TOPIC_ALIAS_INVALID),
        (publish(topics.up("hub", "a2", "hello")), Reason.NOT_AUTHORIZED),
        (publish(topics.down("hub", "a1", "ctl")), Reason.NOT_AUTHORIZED),
        (publish("skerry/1/hub/a1/up/nothing"), Reason.NOT_AUTHORIZED),
        (connect(), Reason.PROTOCOL_ERROR),
        (mqtt5.AuthPacket().write(), Reason.PROTOCOL_ERROR),
        (mqtt5.PubRelPacket(1).write(), Reason.PROTOCOL_ERROR),
        (b"\xff\x00", Reason.MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\xff\x01", Reason.MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
        (
            mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("x")], subscription_id=3).write(),
            Reason.SUBSCRIPTION_IDS_NOT_SUPPORTED,
        ),
    ],
)
def test_what_is_forbidden_ends_the_connection_with_its_reason(sent: bytes, code: Reason) -> None:
    session = joined()
    assert isinstance(feed(session, sent)[-1], Over)
    assert reason_of(session) == code
    assert feed(session, publish()) == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (publish(topics.up("hub", "a2", "hello"), qos=QoS.AT_LEAST_ONCE), Puback.NOT_AUTHORIZED),
        (publish(payload=b"junk", qos=QoS.AT_LEAST_ONCE), Puback.PAYLOAD_FORMAT_INVALID),
        (publish(CTL, qos=QoS.AT_LEAST_ONCE), Puback.PAYLOAD_FORMAT_INVALID),
        (
            publish(payload=codec.encode(msgspec.structs.replace(HELLO, node="a2")), qos=QoS.AT_LEAST_ONCE),
            Puback.PAYLOAD_FORMAT_INVALID,
        ),
    ],
)
def test_a_refused_publish_with_qos_1_is_answered_and_the_connection_lives(sent: bytes, code: Puback) -> None:
    session = joined()
    assert not any(isinstance(event, Arrived) for event in feed(session, sent))
    (puback,) = answers(session)
    assert isinstance(puback, mqtt5.PubAckPacket)
    assert puback.reason_code == code
    assert session.phase is Phase.JOINED


def test_many_refused_publishes_end_the_connection() -> None:
    session = joined()
    bad = publish(payload=b"junk")
    events = feed(session, *([bad] * (limits.DENIALS_MAX + 1)))
    assert sum(isinstance(event, Unreadable) for event in events) == limits.DENIALS_MAX + 1
    assert reason_of(session) == Reason.QUOTA_EXCEEDED


def test_only_the_own_down_topics_can_be_subscribed() -> None:
    session = joined()
    patterns = (
        "#",
        "skerry/1/hub/+/down/+",
        "skerry/1/hub/a2/down/+",
        "skerry/1/hub/a1/down/#",
        "skerry/1/hub/a1/up/+",
        "$share/g/skerry/1/hub/a1/down/+",
        "skerry/1/hub/a1/down/+",
        "skerry/1/hub/a1/down/ctl",
    )
    assert feed(session, subscribe(*patterns)) == [Reachable()]
    (suback,) = answers(session)
    assert isinstance(suback, mqtt5.SubAckPacket)
    assert suback.reason_codes == [
        *[Suback.NOT_AUTHORIZED] * 5,
        Suback.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        Suback.GRANTED_QOS_AT_LEAST_ONCE,
        Suback.GRANTED_QOS_AT_LEAST_ONCE,
    ]


def test_a_subscription_to_very_many_topics_ends_the_connection() -> None:
    session = joined()
    feed(session, subscribe(*["x"] * (limits.SUBSCRIPTIONS_MAX + 1)))
    assert reason_of(session) == Reason.QUOTA_EXCEEDED


def test_a_refused_subscription_makes_nobody_reachable() -> None:
    session = joined()
    assert feed(session, subscribe("#")) == []
    assert not session.deliver(LOOK)


def test_what_the_hub_says_reaches_only_who_listens() -> None:
    session = joined()
    assert not session.deliver(LOOK)
    feed(session, mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("skerry/1/hub/a1/down/ctl", max_qos=QoS(0))]).write())
    answers(session)
    assert session.deliver(LOOK)
    assert not session.deliver(messages.Ask(incarnation="i", session=1, id="1", deadline_ms=0, what="logs"))
    (sent,) = answers(session)
    assert isinstance(sent, mqtt5.PublishPacket)
    assert (sent.topic, sent.payload, sent.qos) == ("skerry/1/hub/a1/down/ctl", codec.encode(LOOK), QoS.AT_MOST_ONCE)
    feed(session, mqtt5.UnsubscribePacket(2, ["skerry/1/hub/a1/down/ctl", "x"]).write())
    (unsuback,) = answers(session)
    assert isinstance(unsuback, mqtt5.UnsubAckPacket)
    assert [int(code) for code in unsuback.reason_codes] == [0, 17]
    assert not session.deliver(LOOK)


def test_a_client_gets_no_packet_larger_than_it_takes() -> None:
    session = fresh()
    feed(session, mqtt5.ConnectPacket("a1", max_packet_size=40).write(), subscribe("skerry/1/hub/a1/down/+"))
    assert not session.deliver(LOOK)


def test_a_ping_is_answered() -> None:
    session = joined()
    assert feed(session, mqtt5.PingReqPacket().write()) == []
    assert isinstance(answers(session)[0], mqtt5.PingRespPacket)


def test_the_will_speaks_when_the_socket_ends_or_the_client_asks_or_it_misbehaves() -> None:
    will = mqtt5.Will(CTL, payload=codec.encode(BYE))
    assert joined(will).lost("reset") == [Over("reset", BYE)]
    asking = mqtt5.DisconnectPacket(reason_code=Reason.DISCONNECT_WITH_WILL_MESSAGE).write()
    assert feed(joined(will), asking) == [Over("the child left its will", BYE)]
    (over,) = feed(joined(will), b"\xff\x00")
    assert isinstance(over, Over)
    assert over.will == BYE


def test_a_goodbye_takes_the_will_back() -> None:
    session = joined(mqtt5.Will(CTL, payload=codec.encode(BYE)))
    assert feed(session, mqtt5.DisconnectPacket().write()) == [Over("the child said goodbye")]
    assert session.lost("closed") == []
    assert answers(session) == []


def test_the_hub_can_end_it_with_a_reason() -> None:
    session = joined()
    assert session.leave(Reason.SERVER_SHUTTING_DOWN, "the hub stops") == [Over("the hub stops")]
    assert reason_of(session) == Reason.SERVER_SHUTTING_DOWN
    session.acknowledge(1)
    assert not session.out
