//! UDP at a fixed rate: each pod has one socket to receive with and sends numbered datagrams to all others.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::Flow;
use crate::cloud::Pod;
use crate::wait::let_pass;
use crate::{PATIENCE, socket_option};

/// Where pods listen.
const PORT: u16 = 5005;
/// Time between two datagrams of a flow: 20 a second.
const PERIOD: Duration = Duration::from_millis(50);
/// How soon a receiver notices that it should stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Bytes of datagrams that wait for a receiver, which may get no CPU for a while.
const QUEUE: libc::c_int = 16 << 20;

/// Flow and number of a datagram.
type Number = (u32, u64);

/// The threads of one pod.
#[derive(Debug)]
pub(super) struct Pair {
    /// The flows that begin here.
    sender: JoinHandle<Result<Vec<Sent>>>,
    receiver: JoinHandle<Result<Received>>,
    /// Stops the receiver, once all senders have ended and what they sent had time to arrive.
    enough: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Sent {
    flow: u32,
    what: String,
    to: IpAddr,
    count: u64,
}

#[derive(Debug, Default)]
struct Received {
    numbers: BTreeSet<Number>,
    duplicates: u64,
}

/// Starts the threads of every pod.
pub(super) fn start(pods: &[&Pod], stop: &Arc<AtomicBool>) -> Result<Vec<Pair>> {
    let mut receivers = Vec::new();
    for pod in pods {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
        let socket = pod.namespace.run(|| UdpSocket::bind(any))??;
        socket_option::set_queue(&socket, QUEUE)?;
        socket.set_read_timeout(Some(GLANCE))?;
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        receivers.push((enough, pod.namespace.spawn(move || receive(&socket, &told))?));
    }
    let mut flow = 0;
    let mut pairs = Vec::new();
    for (pod, (enough, receiver)) in pods.iter().zip(receivers) {
        let mut flows = Vec::new();
        for to in pods.iter().filter(|to| to.name != pod.name).flat_map(|to| to.addresses()) {
            flows.push(Sent { flow, what: format!("UDP {} to {to}", pod.name), to, count: 0 });
            flow += 1;
        }
        let stop = Arc::clone(stop);
        let sender = pod.namespace.spawn(move || send(flows, &stop))?;
        pairs.push(Pair { sender, receiver, enough });
    }
    Ok(pairs)
}

/// Waits for the senders, which were told to stop, and counts what arrived; how much of that came twice.
pub(super) fn finish(pairs: Vec<Pair>) -> Result<(Vec<Flow>, u64)> {
    let mut sent = Vec::new();
    let mut receivers = Vec::new();
    for pair in pairs {
        sent.extend(pair.sender.join().map_err(|_| anyhow!("a UDP sender panicked"))??);
        receivers.push((pair.receiver, pair.enough));
    }
    let mut received = Received::default();
    for (receiver, enough) in receivers {
        enough.store(true, Ordering::Relaxed);
        let of_pod = receiver.join().map_err(|_| anyhow!("a UDP receiver panicked"))??;
        received.numbers.extend(of_pod.numbers);
        received.duplicates += of_pod.duplicates;
    }
    let arrived = |flow: u32| received.numbers.range((flow, 0)..=(flow, u64::MAX)).count();
    let flows = sent.into_iter().map(|sent| {
        Ok(Flow { arrived: u64::try_from(arrived(sent.flow))?, what: sent.what, sent: sent.count })
    });
    Ok((flows.collect::<Result<_>>()?, received.duplicates))
}

fn send(mut flows: Vec<Sent>, stop: &AtomicBool) -> Result<Vec<Sent>> {
    let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    let pause = PERIOD / u32::try_from(flows.len())?;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for flow in &mut flows {
            let socket = if flow.to.is_ipv4() { &v4 } else { &v6 };
            let mut datagram = [0x5a; 64];
            datagram[..4].copy_from_slice(&flow.flow.to_be_bytes());
            datagram[4..12].copy_from_slice(&flow.count.to_be_bytes());
            socket.send_to(&datagram, (flow.to, PORT)).with_context(|| flow.what.clone())?;
            flow.count += 1;
            // Late ones are not made up for: that would be a burst.
            next = (next + pause).max(Instant::now());
            let_pass(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(flows)
}

/// Receives until it is enough and nothing more comes.
fn receive(socket: &UdpSocket, enough: &AtomicBool) -> Result<Received> {
    let mut received = Received::default();
    let mut datagram = [0; 64];
    let mut quiet_since = Instant::now();
    loop {
        match socket.recv(&mut datagram) {
            Ok(_) => {
                quiet_since = Instant::now();
                if !received.numbers.insert(number(&datagram)) {
                    received.duplicates += 1;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // On a busy machine, what is under way may take its time.
                if enough.load(Ordering::Relaxed) && quiet_since.elapsed() > PATIENCE / 10 {
                    return Ok(received);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn number(datagram: &[u8; 64]) -> Number {
    let (mut flow, mut number) = ([0; 4], [0; 8]);
    flow.copy_from_slice(&datagram[..4]);
    number.copy_from_slice(&datagram[4..12]);
    (u32::from_be_bytes(flow), u64::from_be_bytes(number))
}
