//! TCP connections that carry blocks at a modest rate; both ends hash what they sent and got, and compare at the end.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use sha2::{Digest as _, Sha256};

use super::Stream;
use crate::cloud::Pod;
use crate::probe::ANSWER;
use crate::wait::let_pass;
use crate::{PATIENCE, socket_option};

const BLOCK: usize = 8192;
/// Time between two blocks of a stream: 400 kB a second.
const PERIOD: Duration = Duration::from_millis(20);

/// Opens a connection between two pods, to this address of the second, and keeps it busy until told to stop.
pub(super) fn start(
    from: &Pod,
    to: &Pod,
    address: IpAddr,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<Result<Stream>>> {
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    let listener = to.namespace.run(|| TcpListener::bind(any))??;
    let to_address = SocketAddr::new(address, listener.local_addr()?.port());
    let outgoing = from.namespace.run(|| TcpStream::connect_timeout(&to_address, ANSWER))??;
    let (incoming, _) = listener.accept()?;
    for end in [&outgoing, &incoming] {
        end.set_read_timeout(Some(PATIENCE))?;
        end.set_write_timeout(Some(PATIENCE))?;
    }
    let receiver = to.namespace.spawn(move || receive(incoming))?;
    let what = format!("TCP {} to {to_address}", from.name);
    let stop = Arc::clone(stop);
    from.namespace.spawn(move || {
        let sent = send(outgoing, &stop);
        let received = receiver.join().map_err(|_| anyhow!("the receiver panicked"))?.context("receiving");
        let (bytes, hash, retransmitted) = sent.context("sending")?;
        ensure!(received? == (bytes, hash), "what arrived is not what was sent");
        Ok(Stream { what, bytes, retransmitted })
    })
}

/// Sends until told to stop, and waits for the other end to close: bytes, their hash, and segments sent again.
fn send(mut stream: TcpStream, stop: &AtomicBool) -> Result<(u64, [u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        // Each word of each block is another, so that no exchange of two goes unseen.
        let word = |number: usize| (bytes + number as u64 * 8).to_be_bytes();
        let block: Vec<u8> = (0..BLOCK / 8).flat_map(word).collect();
        stream.write_all(&block)?;
        hash.update(&block);
        bytes += BLOCK as u64;
        next = (next + PERIOD).max(Instant::now());
        let_pass(next.saturating_duration_since(Instant::now()));
    }
    stream.shutdown(Shutdown::Write)?;
    ensure!(stream.read(&mut [0])? == 0, "the receiver said something");
    let retransmitted = socket_option::retransmissions(&stream)?;
    Ok((bytes, hash.finalize().into(), retransmitted))
}

fn receive(mut stream: TcpStream) -> Result<(u64, [u8; 32])> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 65_536];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok((bytes, hash.finalize().into())),
            length => {
                hash.update(buffer.get(..length).unwrap_or_default());
                bytes += length as u64;
            }
        }
    }
}
