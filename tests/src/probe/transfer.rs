//! A bulk transfer over TCP whose bytes are compared by hash at both ends.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use socket2::{Domain, Socket, Type};

use super::{ANSWER, IpOptions};
use crate::Namespace;

/// Longest pause in a transfer before it counts as stuck.
const STUCK: Duration = Duration::from_secs(20);

/// A transfer that arrived whole.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// Bytes moved.
    pub bytes: u64,
    /// From the first byte to the last.
    pub elapsed: Duration,
    /// Longest time in which the receiver got nothing.
    pub longest_pause: Duration,
}

impl Transfer {
    /// Speed in bits per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub fn bits_per_second(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.elapsed.as_secs_f64()
    }
}

impl Namespace {
    /// Sends `bytes` pseudo-random bytes to `receiver`, whose address is `to`, over a new TCP connection.
    ///
    /// # Errors
    /// The connection breaks or stands still, or what arrives is not what was sent.
    pub fn transfer(&self, receiver: &Namespace, to: IpAddr, bytes: u64) -> Result<Transfer> {
        self.transfer_with(receiver, to, bytes, &IpOptions::default())
    }

    /// The same with these options on the sender's packets.
    ///
    /// # Errors
    /// As [`Namespace::transfer`].
    pub fn transfer_with(
        &self,
        receiver: &Namespace,
        to: IpAddr,
        bytes: u64,
        options: &IpOptions,
    ) -> Result<Transfer> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let listener = receiver.run(|| TcpListener::bind(any))??;
        let port = listener.local_addr()?.port();
        let start = Instant::now();
        let (sent, received) = std::thread::scope(|scope| {
            let receiving = scope.spawn(move || receive(&listener));
            // A failed sender closes its stream, or never connects; the receiver gives up by itself.
            let sent = self.run(|| send(SocketAddr::new(to, port), bytes, options)).and_then(|sent| sent);
            let received = receiving.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the receiver panicked")));
            (sent, received)
        });
        let what = || format!("{bytes} bytes over TCP from {} to {to}", self.name());
        let sent_hash = sent.with_context(what)?;
        let (count, received_hash, longest_pause) = received.with_context(what)?;
        ensure!(count == bytes, "{}: {count} arrived", what());
        ensure!(sent_hash == received_hash, "{}: what arrived is not what was sent", what());
        Ok(Transfer { bytes, elapsed: start.elapsed(), longest_pause })
    }
}

fn send(to: SocketAddr, bytes: u64, options: &IpOptions) -> Result<[u8; 32]> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    options.apply(&socket)?;
    socket.connect_timeout(&to.into(), ANSWER).context("connecting")?;
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(STUCK))?;
    // A megabyte of noise, sent again and again with a counter in front: no two stretches are equal.
    let mut block = noise(1 << 20);
    let mut hash = Sha256::new();
    let mut left = bytes;
    while left > 0 {
        if let Some((counter, _)) = block.split_first_chunk_mut() {
            *counter = left.to_be_bytes();
        }
        let length = usize::try_from(left.min(block.len() as u64))?;
        let part = block.get(..length).unwrap_or_default();
        hash.update(part);
        stream.write_all(part).with_context(|| format!("sending, {left} bytes before the end"))?;
        left -= length as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The receiver closes when it has all: until then the transfer is not over.
    stream.set_read_timeout(Some(STUCK))?;
    stream.read_to_end(&mut Vec::new()).context("waiting for the receiver")?;
    Ok(hash.finalize().into())
}

fn receive(listener: &TcpListener) -> Result<(u64, [u8; 32], Duration)> {
    let mut stream = accept(listener)?;
    stream.set_read_timeout(Some(STUCK))?;
    let mut buffer = vec![0; 1 << 18];
    let mut hash = Sha256::new();
    let mut count = 0;
    let mut longest_pause = Duration::ZERO;
    loop {
        let start = Instant::now();
        let length = stream.read(&mut buffer).with_context(|| format!("receiving, after {count} bytes"))?;
        longest_pause = longest_pause.max(start.elapsed());
        if length == 0 {
            return Ok((count, hash.finalize().into(), longest_pause));
        }
        count += length as u64;
        hash.update(buffer.get(..length).unwrap_or_default());
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    use std::os::fd::AsFd as _;
    let mut listeners = [nix::poll::PollFd::new(listener.as_fd(), nix::poll::PollFlags::POLLIN)];
    let patience = u16::try_from((ANSWER + Duration::from_secs(1)).as_millis())?;
    ensure!(nix::poll::poll(&mut listeners, patience)? == 1, "nobody connected");
    Ok(listener.accept()?.0)
}

/// `length` bytes that look random and are the same on every run (xorshift, Marsaglia 2003).
fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.take(length / 8).flat_map(u64::to_be_bytes).collect()
}
