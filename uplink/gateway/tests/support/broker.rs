//! A broker of the few packets of MQTT 5 that the gateway uses, which can be told to misbehave.
//!
//! It remembers one session of blocks for ever: what is not acknowledged is sent again at the next connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

#[derive(Default)]
struct State {
    /// Topic and payload by packet id.
    unacknowledged: BTreeMap<u16, (String, Vec<u8>)>,
    retained: BTreeMap<String, Vec<u8>>,
    acknowledged: Vec<u16>,
    packet_ids: u16,
    breaks: u32,
    subscriptions: Vec<String>,
}

/// A running broker; it ends with the test's runtime.
pub(crate) struct FakeBroker {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let (state, changed) = (Arc::new(Mutex::new(State::default())), Arc::new(watch::Sender::new(())));
        let (shared, changes) = (Arc::clone(&state), Arc::clone(&changed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), changes.subscribe()));
            }
        });
        Self { url, state, changed }
    }

    /// Publishes a message for the session of blocks; gives its packet id.
    pub(crate) fn publish(&self, topic: &str, payload: Vec<u8>) -> u16 {
        let mut state = lock(&self.state);
        state.packet_ids += 1;
        let packet_id = state.packet_ids;
        state.unacknowledged.insert(packet_id, (topic.to_owned(), payload));
        self.changed.send_replace(());
        packet_id
    }

    /// Keeps a message for whoever subscribes to its topic from now on.
    pub(crate) fn retain(&self, topic: &str, payload: Vec<u8>) {
        lock(&self.state).retained.insert(topic.to_owned(), payload);
    }

    /// Breaks all connections off.
    pub(crate) fn break_connections(&self) {
        lock(&self.state).breaks += 1;
        self.changed.send_replace(());
    }

    /// Packet ids in the order of their acknowledgements.
    pub(crate) fn acknowledged(&self) -> Vec<u16> {
        lock(&self.state).acknowledged.clone()
    }

    /// Every filter that was subscribed to.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        lock(&self.state).subscriptions.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, mut changes: watch::Receiver<()>) {
    let (reader, mut writer) = stream.into_split();
    let (send, mut packets) = mpsc::channel(64);
    let reading = tokio::spawn(read(reader, send));
    let breaks = lock(&state).breaks;
    let (mut takes_blocks, mut sent) = (false, BTreeSet::new());
    loop {
        if takes_blocks {
            let waiting = lock(&state).unacknowledged.clone();
            for (packet_id, (topic, payload)) in waiting {
                if sent.insert(packet_id) {
                    publish(&mut writer, packet_id, &topic, &payload).await;
                }
            }
        }
        tokio::select! {
            packet = packets.recv() => match packet {
                Some((kind, body)) => takes_blocks |= answer(&mut writer, &state, kind, &body).await,
                None => return,
            },
            changed = changes.changed() => {
                if changed.is_err() || lock(&state).breaks != breaks {
                    return reading.abort();
                }
            }
        }
    }
}

/// Answers a packet; whether it was the subscription to blocks.
async fn answer(writer: &mut OwnedWriteHalf, state: &Mutex<State>, kind: u8, body: &[u8]) -> bool {
    match kind >> 4 {
        // CONNECT: session present, accepted, no properties.
        1 => write(writer, 0x20, &[1, 0, 0]).await,
        4 => {
            let packet_id = u16::from_be_bytes([body[0], body[1]]);
            let mut state = lock(state);
            if state.unacknowledged.remove(&packet_id).is_some() {
                state.acknowledged.push(packet_id);
            }
        }
        8 => {
            // Packet id, properties (fewer than 128 bytes), then the filter.
            let filter = &body[3 + usize::from(body[2])..];
            let length = usize::from(u16::from_be_bytes([filter[0], filter[1]]));
            let filter = String::from_utf8(filter[2..2 + length].to_vec()).unwrap();
            write(writer, 0x90, &[body[0], body[1], 0, 1]).await;
            let retained = {
                let mut state = lock(state);
                state.subscriptions.push(filter.clone());
                state.retained.get(&filter).cloned()
            };
            if let Some(payload) = retained {
                // Any packet id that blocks do not use.
                publish(writer, u16::MAX, &filter, &payload).await;
            }
            return filter.starts_with("$share/");
        }
        10 => write(writer, 0xB0, &[body[0], body[1], 0, 0]).await,
        12 => write(writer, 0xD0, &[]).await,
        _ => {}
    }
    false
}

async fn publish(writer: &mut OwnedWriteHalf, packet_id: u16, topic: &str, payload: &[u8]) {
    let body =
        [&(topic.len() as u16).to_be_bytes(), topic.as_bytes(), &packet_id.to_be_bytes(), &[0], payload]
            .concat();
    write(writer, 0x32, &body).await;
}

async fn write(writer: &mut OwnedWriteHalf, kind: u8, body: &[u8]) {
    let mut packet = vec![kind];
    let mut length = body.len();
    while length > 0x7F {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(body);
    // A gateway that has gone away shows when it is read from.
    let _ = writer.write_all(&packet).await;
}

async fn read(mut reader: OwnedReadHalf, packets: mpsc::Sender<(u8, Vec<u8>)>) {
    while let Ok(kind) = reader.read_u8().await {
        let mut length = 0;
        for shift in (0..28).step_by(7) {
            let Ok(byte) = reader.read_u8().await else { return };
            length |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).await.is_err() || packets.send((kind, body)).await.is_err() {
            return;
        }
    }
}
