//! UDP datagrams one way, as fast as one thread can send them. What arrives counts. The first one is answered, so that a
//! stateful firewall on the way takes the rest for an established flow.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use weft_tests::probe::ANSWER;
use weft_tests::{PATIENCE, wait_until};

use super::Path;
use super::meter::{ANY, Meter, real};
use crate::cpu::{Cpus, Worker};

/// Bytes of payload.
const PAYLOAD: usize = 64;
/// Room for what arrives while the receiver has no CPU.
const QUEUE: usize = 8 << 20;
/// How many are sent between two looks at the clock.
const BURST: u32 = 64;

/// Packets a second, and CPU time of each in microseconds.
pub(super) fn run(path: Path<'_>, cpus: Cpus, slice: Duration) -> Result<Vec<f64>> {
    let socket = path.server.run(|| UdpSocket::bind(ANY))??;
    setsockopt(&socket, sockopt::RcvBufForce, &QUEUE).context("a long queue")?;
    let to = SocketAddr::new(path.address, socket.local_addr()?.port());
    let mut meter = Meter::start()?;
    let server = Worker::start(path.server, cpus.server, move || receive(&socket))?;
    let client = Worker::start(path.client, cpus.client, move || send(to, slice))?;
    let begun = meter.add(client.join().context("the sender")?);
    let (count, end) = stop(path, to, server).map(|ended| meter.add(ended))?;
    ensure!(count > 0, "no datagram arrived");
    let elapsed = (end - begun).as_secs_f64();
    Ok(vec![real(count) / elapsed, meter.seconds() * 1e6 / real(count)])
}

/// Ends a server by empty datagrams: as many as it takes, if some are lost.
pub(super) fn stop<R: Send + 'static>(
    path: Path<'_>,
    to: SocketAddr,
    server: Worker<R>,
) -> Result<(R, Duration)> {
    let socket = path.client.run(|| UdpSocket::bind(ANY))??;
    wait_until(PATIENCE, "the end of the UDP server", || {
        // Whether it was sent shows at the other end.
        drop(socket.send_to(&[], to));
        server.is_finished()
    })?;
    server.join().context("the receiver")
}

/// Sends until the slice is over; when it began.
fn send(to: SocketAddr, slice: Duration) -> Result<Instant> {
    let socket = UdpSocket::bind(ANY)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(ANSWER))?;
    socket.send(&[0x5a; PAYLOAD])?;
    socket.recv(&mut [0; PAYLOAD]).context("no answer to the first datagram")?;
    let begun = Instant::now();
    while begun.elapsed() < slice {
        for _ in 0..BURST {
            socket.send(&[0x5a; PAYLOAD])?;
        }
    }
    Ok(begun)
}

/// Counts up to an empty datagram; when the last one arrived that was not.
fn receive(socket: &UdpSocket) -> Result<(u64, Instant)> {
    let mut buffer = [0; PAYLOAD];
    let (_, from) = socket.recv_from(&mut buffer)?;
    socket.send_to(&buffer, from)?;
    let mut count = 0;
    let mut last = Instant::now();
    while socket.recv(&mut buffer)? != 0 {
        count += 1;
        // A look at the clock costs little, but not nothing.
        if count % u64::from(BURST) == 0 {
            last = Instant::now();
        }
    }
    Ok((count, last))
}
