//! New TCP connections, one at a time: connect, a byte there, a byte back, close.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use weft_tests::probe::ANSWER;

use super::Path;
use super::meter::{ANY, Meter, real};
use crate::cpu::{Cpus, Worker};

/// What tells the server that there are no more.
const LAST: u8 = 0;

/// Connections a second, and CPU time of each in microseconds.
pub(super) fn run(path: Path<'_>, cpus: Cpus, slice: Duration) -> Result<Vec<f64>> {
    let listener = path.server.run(|| TcpListener::bind(ANY))??;
    let to = SocketAddr::new(path.address, listener.local_addr()?.port());
    let mut meter = Meter::start()?;
    let server = Worker::start(path.server, cpus.server, move || serve(&listener))?;
    let client = Worker::start(path.client, cpus.client, move || {
        let begun = Instant::now();
        let mut count = 0_u64;
        while begun.elapsed() < slice {
            connect(to, 0x5a)?;
            count += 1;
        }
        let elapsed = begun.elapsed();
        connect(to, LAST)?;
        Ok((count, elapsed))
    })?;
    let (count, elapsed) = meter.add(client.join().context("the client")?);
    meter.add(server.join().context("the server")?);
    Ok(vec![real(count) / elapsed.as_secs_f64(), meter.seconds() * 1e6 / real(count)])
}

fn connect(to: SocketAddr, say: u8) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(&[say])?;
    let mut answer = [0; 2];
    // To the end: the server closes first, so that its side waits out late packets and no port of ours is held up.
    while stream.read(&mut answer)? != 0 {}
    Ok(())
}

fn serve(listener: &TcpListener) -> Result<()> {
    let mut byte = [0; 1];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
        if byte == [LAST] {
            return Ok(());
        }
    }
}
