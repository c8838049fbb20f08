//! The MQTT edge and a real broker: refusals, limits, aliases, expiry, wills, MQTT 3.1.1, and the session on top.

#![cfg(feature = "mqtt")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[allow(unreachable_pub, dead_code, reason = "a part of this test")]
mod mosquitto;

use std::time::Duration;

use mosquitto::{LIMIT, Mosquitto, installed};
use tokio::time::timeout;
use uplink::mqtt::{
    Answer, Credentials, Link, LinkError, Message, Protocol, Publisher, Received, Subscriber, UnsentReason,
};
use uplink::refusal::{Failure, Refusal};

fn link(broker: &Mosquitto, id: &str, protocol: Protocol) -> Link {
    let mut link = Link::parse(&broker.url(), id).unwrap();
    link.protocol = protocol;
    link
}

async fn answer(publisher: &mut Publisher<u32>) -> Answer<u32> {
    timeout(LIMIT, publisher.next_answer()).await.expect("no answer").unwrap()
}

async fn publisher(link: &Link) -> Publisher<u32> {
    let mut publisher = Publisher::connect(link, 64);
    assert!(matches!(answer(&mut publisher).await, Answer::Connected { .. }));
    publisher
}

async fn subscriber(link: &Link, filter: &str) -> Subscriber {
    let mut subscriber = Subscriber::connect(link, &[filter.to_owned()]);
    let received = timeout(LIMIT, subscriber.next()).await.unwrap().unwrap();
    assert!(matches!(received, Received::Connected { .. }));
    // A publish that comes back shows that the subscription is there.
    subscriber
}

async fn message(subscriber: &mut Subscriber) -> (String, Vec<u8>) {
    let received = timeout(LIMIT, subscriber.next()).await.expect("no message").unwrap();
    let Received::Message(delivery) = received else { panic!("{received:?}") };
    subscriber.acknowledge(&delivery).unwrap();
    (delivery.topic().to_owned(), delivery.payload().to_vec())
}

fn plain<'a>(topic: &'a str, payload: &'static [u8]) -> Message<'a> {
    Message { topic, retain: false, expiry: None, alias: true, payload: payload.into() }
}

/// Publishes until it is acknowledged: the other side's subscription may still be on its way.
async fn publish_until_acked(publisher: &mut Publisher<u32>, message: Message<'_>) {
    for _ in 0..200 {
        publisher.send(message.clone(), 1).unwrap();
        match answer(publisher).await {
            Answer::Acked(1) => return,
            Answer::Refused { refusal: Refusal::NO_MATCHING_SUBSCRIBERS, .. } => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("never acknowledged");
}

#[tokio::test]
async fn aliases_carry_topics_and_limits_are_the_brokers() {
    if !installed() {
        return;
    }
    let broker =
        Mosquitto::start("allow_anonymous true\nmax_inflight_messages 7\nmax_packet_size 5000", |_| {}).await;
    let mut subscriber = subscriber(&link(&broker, "gateway", Protocol::V5), "t/#").await;
    let mut publisher = publisher(&link(&broker, "car", Protocol::V5)).await;
    assert_eq!(publisher.limits().packet_bytes_max, 5000);
    let aliases = publisher.limits().topic_aliases_max;
    println!("receive maximum {}, topic aliases {aliases}", publisher.limits().receive_max);
    publish_until_acked(&mut publisher, plain("t/a", b"0")).await;
    for (topic, payload) in [("t/a", b"1"), ("t/b", b"2"), ("t/a", b"3"), ("t/b", b"4"), ("t/a", b"5")] {
        publisher.send(plain(topic, payload), 2).unwrap();
        assert_eq!(answer(&mut publisher).await, Answer::Acked(2));
    }
    let mut got = Vec::new();
    while got.len() < 6 {
        let (topic, payload) = message(&mut subscriber).await;
        got.push(format!("{topic}={}", String::from_utf8(payload).unwrap()));
    }
    assert_eq!(got, ["t/a=0", "t/a=1", "t/b=2", "t/a=3", "t/b=4", "t/a=5"]);
    let large = Message { payload: vec![0; 5000].into(), ..plain("t/a", b"") };
    let unsent = publisher.send(large, 3).unwrap_err();
    assert!(matches!(unsent.reason, UnsentReason::TooLarge { limit: 5000, .. }), "{unsent:?}");
    let (sent, received) = publisher.traffic();
    assert!(sent >= 100 && received > 20, "{sent} {received}");
    assert!(publisher.socket().is_some());
}

#[tokio::test]
async fn refusals_say_which_code_and_the_connection_stays() {
    if !installed() {
        return;
    }
    let acl = |dir: &std::path::Path| std::fs::write(dir.join("acl"), "topic readwrite open/#\n").unwrap();
    let broker = Mosquitto::start("allow_anonymous true\nacl_file DIR/acl", acl).await;
    let mut publisher = publisher(&link(&broker, "car", Protocol::V5)).await;
    for (topic, expected) in
        [("open/nobody", Refusal::NO_MATCHING_SUBSCRIBERS), ("closed/x", Refusal::NOT_AUTHORIZED)]
    {
        publisher.send(plain(topic, b"x"), 7).unwrap();
        let answer = answer(&mut publisher).await;
        let Answer::Refused { token: 7, refusal, .. } = answer else { panic!("{topic}: {answer:?}") };
        assert_eq!(refusal, expected, "{topic}");
    }
    // What is retained has a reader: the broker.
    publisher.send(Message { retain: true, ..plain("open/status", b"on") }, 8).unwrap();
    let last = answer(&mut publisher).await;
    assert!(matches!(last, Answer::Acked(8) | Answer::Refused { token: 8, .. }), "{last:?}");
}

#[tokio::test]
async fn what_is_under_way_comes_back_when_the_broker_dies() {
    if !installed() {
        return;
    }
    let mut broker = Mosquitto::start("allow_anonymous true", |_| {}).await;
    let mut publisher = publisher(&link(&broker, "car", Protocol::V5)).await;
    broker.kill();
    let sent = (0..5).filter(|&token| publisher.send(plain("t", b"x"), token).is_ok()).count();
    let error = loop {
        match timeout(LIMIT, publisher.next_answer()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.failure(), Failure::Passing, "{error}");
    assert_eq!(publisher.land().len(), sent);
    // Nobody there at all.
    let mut nobody: Publisher<u32> = Publisher::connect(&link(&broker, "car", Protocol::V5), 1);
    let error = timeout(LIMIT, nobody.next_answer()).await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_will_is_published_for_who_vanishes_and_not_for_who_says_goodbye() {
    if !installed() {
        return;
    }
    let broker = Mosquitto::start("allow_anonymous true", |_| {}).await;
    for protocol in [Protocol::V5, Protocol::V311] {
        let topic = format!("ecu/car-{protocol:?}/status");
        let mut car = link(&broker, &format!("car-{protocol:?}"), protocol);
        car.will = Some((topic.clone(), b"offline".to_vec()));
        car.will_delay = Duration::from_secs(1);
        let mut gateway =
            subscriber(&link(&broker, &format!("gateway-{protocol:?}"), protocol), &topic).await;
        let mut online = publisher(&car).await;
        let status = |payload| Message { retain: true, ..plain(&topic, payload) };
        publish_until_acked(&mut online, status(b"online")).await;
        drop(online);
        while message(&mut gateway).await.1 != b"offline" {}
        let mut online = publisher(&car).await;
        publish_until_acked(&mut online, status(b"stopped")).await;
        assert!(online.disconnect(LIMIT).await.is_empty());
        let mut online = publisher(&link(&broker, "another", protocol)).await;
        publish_until_acked(&mut online, status(b"end")).await;
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != b"end") {
            seen.push(message(&mut gateway).await.1);
        }
        assert!(!seen.contains(&b"offline".to_vec()), "{protocol:?}: {seen:?}");
    }
}

#[tokio::test]
async fn an_expired_message_is_forgotten_and_another_is_not() {
    if !installed() {
        return;
    }
    let broker = Mosquitto::start("allow_anonymous true", |_| {}).await;
    let gateway = link(&broker, "gateway", Protocol::V5);
    let mut present = subscriber(&gateway, "t").await;
    let mut publisher = publisher(&link(&broker, "car", Protocol::V5)).await;
    publish_until_acked(&mut publisher, plain("t", b"first")).await;
    assert_eq!(message(&mut present).await.1, b"first");
    // Its acknowledgement must be with the broker before it goes.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(present);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let short = Message { expiry: Some(Duration::from_secs(1)), ..plain("t", b"short") };
    let long = Message { expiry: Some(Duration::from_secs(1000)), ..plain("t", b"long") };
    for message in [short, long] {
        publisher.send(message, 1).unwrap();
        assert_eq!(answer(&mut publisher).await, Answer::Acked(1));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut back = subscriber(&gateway, "t").await;
    assert_eq!(message(&mut back).await.1, b"long");
}

#[tokio::test]
async fn mqtt_3_1_1_acknowledges_even_what_nobody_reads() {
    if !installed() {
        return;
    }
    let broker = Mosquitto::start("allow_anonymous true", |_| {}).await;
    let mut publisher = publisher(&link(&broker, "car", Protocol::V311)).await;
    publisher.send(plain("nobody/reads", b"x"), 5).unwrap();
    // The stated weakness: MQTT 5 would say NO_MATCHING_SUBSCRIBERS.
    assert_eq!(answer(&mut publisher).await, Answer::Acked(5));
    let mut subscriber = subscriber(&link(&broker, "gateway", Protocol::V311), "t/#").await;
    // Any acknowledgement will do there; so it is sent until it arrives.
    let arrived = loop {
        publisher.send(plain("t/a", b"y"), 6).unwrap();
        assert_eq!(answer(&mut publisher).await, Answer::Acked(6));
        if let Ok(arrived) = timeout(Duration::from_millis(100), subscriber.next()).await
            && let Received::Message(delivery) = arrived.unwrap()
        {
            break delivery;
        }
    };
    assert_eq!((arrived.topic(), &arrived.payload()[..]), ("t/a", &b"y"[..]));
}

#[tokio::test]
async fn wrong_passwords_are_refused_for_good() {
    if !installed() {
        return;
    }
    let passwords = |dir: &std::path::Path| {
        let file = dir.join("passwords");
        let made = std::process::Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(&file)
            .args(["car", "right"])
            .status();
        assert!(made.unwrap().success());
    };
    let broker = Mosquitto::start("allow_anonymous false\npassword_file DIR/passwords", passwords).await;
    for protocol in [Protocol::V5, Protocol::V311] {
        for (password, accepted) in [("right", true), ("wrong", false)] {
            let mut link = link(&broker, "car", protocol);
            let (username, password) = ("car".to_owned(), password.to_owned());
            link.credentials = Some(Credentials { username, password });
            let mut publisher: Publisher<u32> = Publisher::connect(&link, 1);
            match timeout(LIMIT, publisher.next_answer()).await.unwrap() {
                Ok(answer) => assert!(accepted && matches!(answer, Answer::Connected { .. }), "{answer:?}"),
                Err(error) => {
                    assert!(!accepted, "{error}");
                    assert_eq!(error.failure(), Failure::Lasting, "{error}");
                    assert!(error.to_string().contains("not authorised"), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_idle_link_is_kept_alive() {
    if !installed() {
        return;
    }
    let broker = Mosquitto::start("allow_anonymous true", |_| {}).await;
    let mut link = link(&broker, "car", Protocol::V5);
    link.keep_alive = Duration::from_secs(1);
    let mut publisher = publisher(&link).await;
    for _ in 0..3 {
        // The broker would end a connection that is silent for 1.5 s.
        assert!(matches!(answer(&mut publisher).await, Answer::Pong(_)));
    }
}
