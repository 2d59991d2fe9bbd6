//! TCP connections that carry as much as they can.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use weft_tests::probe::ANSWER;

use super::Path;
use super::meter::{ANY, Meter, real};
use crate::cpu::{Cpus, Worker};

/// What one call writes or reads at most.
const BLOCK: usize = 128 * 1024;

/// Gbit/s of all connections together, and CPU seconds per gigabyte.
pub(super) fn run(path: Path<'_>, count: usize, cpus: Cpus, slice: Duration) -> Result<Vec<f64>> {
    let listener = path.server.run(|| TcpListener::bind(ANY))??;
    let to = SocketAddr::new(path.address, listener.local_addr()?.port());
    let mut meter = Meter::start()?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..count {
        let listener = listener.try_clone()?;
        servers.push(Worker::start(path.server, cpus.server, move || receive(&listener))?);
        clients.push(Worker::start(path.client, cpus.client, move || send(to, slice))?);
    }
    let mut begun = None;
    for client in clients {
        let start = meter.add(client.join().context("the sender")?);
        begun = Some(begun.map_or(start, |first: Instant| first.min(start)));
    }
    let (mut bytes, mut ended) = (0, None);
    for server in servers {
        let (received, end) = meter.add(server.join().context("the receiver")?);
        bytes += received;
        ended = ended.max(Some(end));
    }
    let elapsed = ended.zip(begun).context("no streams")?;
    let elapsed = (elapsed.0 - elapsed.1).as_secs_f64();
    Ok(vec![real(bytes) * 8.0 / 1e9 / elapsed, meter.seconds() / (real(bytes) / 1e9)])
}

/// Writes until the slice is over; when it began.
fn send(to: SocketAddr, slice: Duration) -> Result<Instant> {
    let mut stream = TcpStream::connect_timeout(&to, ANSWER)?;
    stream.set_write_timeout(Some(ANSWER))?;
    let block = vec![0x5a; BLOCK];
    let begun = Instant::now();
    while begun.elapsed() < slice {
        stream.write_all(&block)?;
    }
    Ok(begun)
}

/// Reads one connection to its end; how many bytes, and when that was.
fn receive(listener: &TcpListener) -> Result<(u64, Instant)> {
    let (mut stream, _) = listener.accept()?;
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        match stream.read(&mut block)? {
            0 => return Ok((bytes, Instant::now())),
            read => bytes += u64::try_from(read)?,
        }
    }
}
