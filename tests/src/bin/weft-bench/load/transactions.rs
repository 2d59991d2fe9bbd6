//! A byte there and a byte back, one at a time: what latency and cost per packet make of a path.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use weft_tests::probe::ANSWER;

use super::meter::{ANY, Meter, real};
use super::{Path, datagrams};
use crate::cpu::{Cpus, Worker};
use crate::statistics::quantile;

/// Transactions a second, their median and 99th percentile in microseconds, and CPU time of each.
pub(super) fn udp(path: Path<'_>, cpus: Cpus, slice: Duration) -> Result<Vec<f64>> {
    let socket = path.server.run(|| UdpSocket::bind(ANY))??;
    let to = SocketAddr::new(path.address, socket.local_addr()?.port());
    let mut meter = Meter::start()?;
    let server = Worker::start(path.server, cpus.server, move || {
        let mut byte = [0; 1];
        loop {
            match socket.recv_from(&mut byte)? {
                (0, _) => return Ok(()),
                (_, from) => drop(socket.send_to(&byte, from)?),
            }
        }
    })?;
    let client = Worker::start(path.client, cpus.client, move || {
        let socket = UdpSocket::bind(ANY)?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(ANSWER))?;
        repeat(slice, || {
            let mut byte = [0x5a; 1];
            socket.send(&byte)?;
            match socket.recv(&mut byte) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
    })?;
    let times = meter.add(client.join().context("the client")?);
    datagrams::stop(path, to, server).map(|ended| meter.add(ended))?;
    figures(times, &meter)
}

/// The same over one TCP connection.
pub(super) fn tcp(path: Path<'_>, cpus: Cpus, slice: Duration) -> Result<Vec<f64>> {
    let listener = path.server.run(|| TcpListener::bind(ANY))??;
    let to = SocketAddr::new(path.address, listener.local_addr()?.port());
    let mut meter = Meter::start()?;
    let server = Worker::start(path.server, cpus.server, move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0; 1];
        while stream.read(&mut byte)? != 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    })?;
    let client = Worker::start(path.client, cpus.client, move || {
        let mut stream = TcpStream::connect_timeout(&to, ANSWER)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        repeat(slice, || {
            let mut byte = [0x5a; 1];
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
            Ok(true)
        })
    })?;
    let times = meter.add(client.join().context("the client")?);
    meter.add(server.join().context("the server")?);
    figures(times, &meter)
}

/// How long each answered transaction took, and all of them together.
struct Times {
    each: Vec<Duration>,
    all: Duration,
}

/// Transacts until the slice is over. A transaction that says false was not answered.
fn repeat(slice: Duration, mut transact: impl FnMut() -> Result<bool>) -> Result<Times> {
    let mut each = Vec::with_capacity(1 << 16);
    let begun = Instant::now();
    let mut last = begun;
    while last - begun < slice {
        let answered = transact()?;
        let now = Instant::now();
        if answered {
            each.push(now - last);
        }
        last = now;
    }
    Ok(Times { each, all: last - begun })
}

fn figures(times: Times, meter: &Meter) -> Result<Vec<f64>> {
    let count = real(times.each.len().try_into()?);
    ensure!(count > 0.0, "nothing was answered");
    let each: Vec<f64> = times.each.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    let (median, high) = (quantile(&each, 0.5), quantile(&each, 0.99));
    Ok(vec![count / times.all.as_secs_f64(), median, high, meter.seconds() * 1e6 / count])
}
