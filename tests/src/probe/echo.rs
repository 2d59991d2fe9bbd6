//! A server that says who it is and sends back what it gets, on TCP and UDP, and clients of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ANSWER;
use crate::{Namespace, PATIENCE, wait_for};

/// The port that [`EchoServer`] listens on, TCP and UDP, IPv4 and IPv6.
pub const ECHO_PORT: u16 = 7;

/// How soon a server notices that it should stop.
const GLANCE: Duration = Duration::from_millis(50);

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct EchoServer {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl EchoServer {
    /// Starts a server that answers `<name>:` and then what it got.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(namespace: &Namespace, name: &str) -> Result<Self> {
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), ECHO_PORT);
        // A child that another test is about to start has the sockets of the last server for a moment.
        let (tcp, udp) = wait_for(PATIENCE, &format!("an echo server in {}", namespace.name()), || {
            namespace.run(|| Ok::<_, anyhow::Error>((TcpListener::bind(any)?, UdpSocket::bind(any)?)))?
        })?;
        udp.set_read_timeout(Some(GLANCE))?;
        tcp.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let prefix = format!("{name}:").into_bytes();
        let over_udp = {
            let (stop, prefix) = (Arc::clone(&stop), prefix.clone());
            namespace.spawn(move || serve_udp(&udp, &prefix, &stop))?
        };
        let over_tcp = {
            let stop = Arc::clone(&stop);
            namespace.spawn(move || serve_tcp(&tcp, &prefix, &stop))?
        };
        Ok(Self { stop, threads: vec![over_udp, over_tcp] })
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A failed server shows as missing answers.
            drop(thread.join());
        }
    }
}

fn serve_udp(socket: &UdpSocket, prefix: &[u8], stop: &AtomicBool) -> Result<()> {
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let (length, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if is_timeout(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut answer = prefix.to_vec();
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        // A client that went away is no reason to stop.
        drop(socket.send_to(&answer, from));
    }
    Ok(())
}

fn serve_tcp(listener: &TcpListener, prefix: &[u8], stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => drop(answer_tcp(stream, prefix)),
            Err(error) if is_timeout(&error) => wait_for_client(listener)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// One client at a time: it says all, then gets all.
fn answer_tcp(mut stream: TcpStream, prefix: &[u8]) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said)?;
    stream.write_all(prefix)?;
    stream.write_all(&said)
}

fn wait_for_client(listener: &TcpListener) -> Result<()> {
    use std::os::fd::AsFd as _;
    let mut listeners = [nix::poll::PollFd::new(listener.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut listeners, u16::try_from(GLANCE.as_millis())?)?;
    Ok(())
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Namespace {
    /// Says `text` to the echo server at `to` over UDP, once; its answer.
    ///
    /// # Errors
    /// No answer in time.
    pub fn udp_echo(&self, to: IpAddr, text: &str) -> Result<String> {
        self.udp_echo_within(to, text, ANSWER)
    }

    /// The same, but no answer is waited for longer than `patience`.
    ///
    /// # Errors
    /// No answer in time.
    pub fn udp_echo_within(&self, to: IpAddr, text: &str, patience: Duration) -> Result<String> {
        self.run(|| udp(to, text, patience))?.with_context(|| format!("UDP from {} to {to}", self.name()))
    }

    /// Says `text` to the echo server at `to` over a new TCP connection; its answer.
    ///
    /// # Errors
    /// No connection, or no answer, in time.
    pub fn tcp_echo(&self, to: IpAddr, text: &str) -> Result<String> {
        self.run(|| -> Result<String> {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to, ECHO_PORT), ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(text.as_bytes())?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?
        .with_context(|| format!("TCP from {} to {to}", self.name()))
    }
}

/// Says `text` to the echo server at `to` in the namespace of the calling thread.
pub(super) fn udp(to: IpAddr, text: &str, patience: Duration) -> Result<String> {
    let socket = UdpSocket::bind(SocketAddr::new(unspecified(to), 0))?;
    socket.connect((to, ECHO_PORT))?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(text.as_bytes())?;
    let mut answer = vec![0; 65_536];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(String::from_utf8(answer)?)
}

pub(super) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
