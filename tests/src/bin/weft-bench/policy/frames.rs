//! Packets between the client and the far pod, as their hosts' programs meet them: from the pod, and from the other host.

use anyhow::Result;
use etherparse::PacketBuilder;
use weft_tests::cloud::Cloud;

use crate::programs::packets::outside;
use crate::subject::secured::PODS_BY_HOST;

/// Where the transport ports are in a frame from a pod, and in one from another host.
const PORTS: usize = 14 + 20;
const PORTS_OUTSIDE: usize = 14 + 20 + 8 + 8 + PORTS;

/// What a packet does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    /// An acknowledgement, with a byte or without.
    Ack {
        payload: bool,
    },
    /// A datagram of one byte.
    Datagram,
}

/// A packet that the pod of the host `from` sends: as its own host meets it, and as the other one does.
pub(super) struct Pair {
    pub(super) sent: Vec<u8>,
    pub(super) received: Vec<u8>,
}

/// Makes one, from a transport port to another.
pub(super) fn pair(cloud: &Cloud<'_>, from: usize, kind: Kind, ports: (u16, u16)) -> Result<Pair> {
    let [sender, receiver] = [from, 1 - from].map(|host| cloud.pod(PODS_BY_HOST[host]));
    let ip = PacketBuilder::ethernet2(sender.mac.bytes(), receiver.mac.bytes()).ipv4(
        sender.v4.octets(),
        receiver.v4.octets(),
        64,
    );
    let mut sent = Vec::new();
    let (sequence, window) = (1000, 65_000);
    match kind {
        Kind::Syn => ip.tcp(ports.0, ports.1, sequence, window).syn().write(&mut sent, &[])?,
        Kind::SynAck => {
            ip.tcp(ports.0, ports.1, sequence, window).syn().ack(sequence).write(&mut sent, &[])?
        }
        Kind::Ack { payload } => {
            let payload: &[u8] = if payload { &[0x5a] } else { &[] };
            ip.tcp(ports.0, ports.1, sequence, window).ack(sequence).write(&mut sent, payload)?;
        }
        Kind::Datagram => ip.udp(ports.0, ports.1).write(&mut sent, &[0x5a])?,
    }
    let received = outside(cloud, 1 - from, &sent)?;
    Ok(Pair { sent, received })
}

impl Pair {
    /// Gives the packet other transport ports. Its checksum is wrong then, which no program looks at.
    pub(super) fn set_ports(&mut self, (from, to): (u16, u16)) {
        let [a, b] = from.to_be_bytes();
        let [c, d] = to.to_be_bytes();
        for (frame, at) in [(&mut self.sent, PORTS), (&mut self.received, PORTS_OUTSIDE)] {
            frame[at..at + 4].copy_from_slice(&[a, b, c, d]);
        }
    }
}
