//! A BGP speaker made of a TCP stream: it sends whatever bytes a test wants and gives back whole messages as they came.
//!
//! Only what is well-formed goes through the codec. Sockets are made inside the namespace, and stay there.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, SockRef, Socket, Type};
use weft_bgp::wire::{
    Capability, Dialect, Frame, HEADER_LEN, Message, Notification, NotificationCode, Open, Received,
};

use crate::{Namespace, PATIENCE, wait_for};

/// Where the length stands in the header.
const LENGTH: std::ops::Range<usize> = 16..18;

/// What came, or that nothing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole message with its header, as long as the header says.
    Message(Vec<u8>),
    /// The other side closed or reset the connection.
    End,
    /// Nothing in time.
    Silence,
}

/// One connection.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
    /// What came and was not given away.
    bytes: Vec<u8>,
    /// How messages that are well-formed are written and read; [`RawPeer::handshake`] settles it.
    pub dialect: Dialect,
}

/// Waits for connections.
#[derive(Debug)]
pub struct RawListener(TcpListener);

impl RawListener {
    /// Listens on an address of `namespace`.
    ///
    /// # Errors
    /// The address is taken.
    pub fn bind(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let listener = namespace.run(|| TcpListener::bind(address))?;
        let listener = listener.with_context(|| format!("listening on {address} in {}", namespace.name()))?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// The next connection.
    ///
    /// # Errors
    /// None comes in time.
    pub fn accept(&self, patience: Duration) -> Result<RawPeer> {
        let accepted =
            wait_for(patience, "a BGP connection", || self.0.accept().map_err(|error| error.to_string()));
        let (stream, _) = accepted?;
        stream.set_nonblocking(false)?;
        RawPeer::new(stream)
    }
}

impl RawPeer {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::new(), dialect: Dialect::plain() })
    }

    /// Connects from an address of `namespace`, tried again until it is accepted: the other side may be starting.
    ///
    /// # Errors
    /// It is not in time.
    pub fn connect(namespace: &Namespace, from: IpAddr, to: SocketAddr) -> Result<Self> {
        let what = format!("a connection from {from} in {} to {to}", namespace.name());
        let stream = wait_for(PATIENCE, &what, || -> std::result::Result<TcpStream, String> {
            let connected = namespace.run(|| -> std::io::Result<TcpStream> {
                let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
                socket.bind(&SocketAddr::new(from, 0).into())?;
                socket.connect_timeout(&to.into(), Duration::from_secs(1))?;
                Ok(socket.into())
            });
            match connected {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(format!("{error:#}")),
            }
        })?;
        Self::new(stream)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It has no form on the wire, or the connection is gone.
    pub fn send_message(&mut self, message: &Message) -> Result<()> {
        let mut bytes = Vec::new();
        message.encode(&self.dialect, &mut bytes)?;
        self.send(&bytes)
    }

    /// The next message that comes within `patience`, whatever is in it.
    ///
    /// # Errors
    /// The socket fails, or the header's length does not even hold the header.
    pub fn hear(&mut self, patience: Duration) -> Result<Heard> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(length) = self.bytes.get(LENGTH) {
                let length = length.iter().fold(0, |length, byte| length * 256 + usize::from(*byte));
                ensure!(length >= HEADER_LEN, "a message of {length} bytes: {:02x?}", self.bytes);
                if self.bytes.len() >= length {
                    let rest = self.bytes.split_off(length);
                    return Ok(Heard::Message(std::mem::replace(&mut self.bytes, rest)));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Heard::Silence);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Heard::End),
                Ok(length) => self.bytes.extend(buffer.get(..length).unwrap_or_default()),
                Err(error) if is_early(error.kind()) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Heard::End),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next message, read by the codec.
    ///
    /// # Errors
    /// None comes in time, or it is malformed.
    pub fn receive(&mut self) -> Result<Received> {
        let bytes = match self.hear(PATIENCE)? {
            Heard::Message(bytes) => bytes,
            nothing @ (Heard::End | Heard::Silence) => bail!("in place of a message: {nothing:?}"),
        };
        let frame = Frame::next(&bytes, self.dialect.receive_extended)?.context("half a message")?;
        Ok(Received::decode(frame, &self.dialect)?)
    }

    /// Reads on until there is a NOTIFICATION; those before it are dropped.
    ///
    /// # Errors
    /// The connection ends, or nothing comes in time.
    pub fn receive_notification(&mut self) -> Result<Notification> {
        loop {
            if let Message::Notification(notification) = self.receive()?.message {
                return Ok(notification);
            }
        }
    }

    /// Checks that the other side ends the session with this NOTIFICATION, and closes.
    ///
    /// # Errors
    /// It says something else, or keeps the connection.
    pub fn expect_end(&mut self, code: NotificationCode, subcode: u8) -> Result<Notification> {
        let notification = self.receive_notification()?;
        ensure!((notification.code, notification.subcode) == (code, subcode), "{notification:?}");
        let then = self.hear(PATIENCE)?;
        ensure!(then == Heard::End, "after a NOTIFICATION: {then:?}");
        Ok(notification)
    }

    /// Exchanges OPENs and KEEPALIVEs until the session is established; what the other side's OPEN was.
    ///
    /// # Errors
    /// The other side refuses, or says nothing in time.
    pub fn handshake(&mut self, ours: &Open) -> Result<Open> {
        self.send_message(&Message::Open(ours.clone()))?;
        let answer = self.receive()?.message;
        let Message::Open(theirs) = answer else { bail!("in place of an OPEN: {answer:?}") };
        self.send_message(&Message::Keepalive)?;
        let answer = self.receive()?.message;
        ensure!(answer == Message::Keepalive, "in place of a KEEPALIVE: {answer:?}");
        let both = |wanted: fn(&Capability) -> bool| {
            [ours, &theirs].map(|open| open.capabilities.iter().any(wanted))
        };
        let four_octets = both(|capability| matches!(capability, Capability::FourOctetAs(_)));
        let extended = both(|capability| matches!(capability, Capability::ExtendedMessage));
        self.dialect = Dialect {
            internal: ours.asn == theirs.asn,
            four_octet_as: four_octets == [true, true],
            receive_extended: extended[0],
            send_extended: extended[1],
            ..Dialect::plain()
        };
        Ok(theirs)
    }

    /// The connection, and what came on it and was not given away.
    #[must_use]
    pub fn into_stream(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.bytes)
    }

    /// Ends the connection at once with a reset, as a host that loses power and comes back does.
    ///
    /// # Errors
    /// The socket refuses.
    pub fn reset(self) -> Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        Ok(())
    }
}

/// Nothing came yet, or the call was broken off.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
