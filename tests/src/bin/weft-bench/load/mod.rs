//! What is done with a path between two pods, and what is measured of it.

mod connections;
mod datagrams;
mod meter;
mod streams;
mod transactions;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use weft_tests::Namespace;

use crate::cpu::Cpus;
pub(crate) use meter::ANY;

/// A way from one pod to another.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    pub(crate) client: &'a Namespace,
    pub(crate) server: &'a Namespace,
    /// The server's address.
    pub(crate) address: IpAddr,
}

/// Whether more or less of a measure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A figure that a load yields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

const fn higher(name: &'static str, unit: &'static str) -> Measure {
    Measure { name, unit, better: Better::Higher }
}

const fn lower(name: &'static str, unit: &'static str) -> Measure {
    Measure { name, unit, better: Better::Lower }
}

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One TCP connection, as fast as it goes.
    Tcp1,
    /// Four of them at once.
    Tcp4,
    /// UDP datagrams of 64 bytes one way, as fast as one thread can send them.
    Udp64,
    /// One byte there and one back over UDP, one at a time.
    UdpTransactions,
    /// The same over one TCP connection.
    TcpTransactions,
    /// A new TCP connection for every byte there and back.
    Connections,
}

impl Load {
    pub(crate) const ALL: [Self; 6] = [
        Self::Tcp1,
        Self::Tcp4,
        Self::Udp64,
        Self::UdpTransactions,
        Self::TcpTransactions,
        Self::Connections,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp1 => "tcp-1-stream",
            Self::Tcp4 => "tcp-4-streams",
            Self::Udp64 => "udp-64-bytes",
            Self::UdpTransactions => "udp-request-response",
            Self::TcpTransactions => "tcp-request-response",
            Self::Connections => "tcp-connections",
        }
    }

    /// What [`Load::run`] answers, in this order.
    pub(crate) fn measures(self) -> &'static [Measure] {
        match self {
            Self::Tcp1 | Self::Tcp4 => const { &[higher("speed", "Gbit/s"), lower("cpu", "s/GB")] },
            Self::Udp64 => const { &[higher("rate", "packets/s"), lower("cpu", "µs/packet")] },
            Self::UdpTransactions | Self::TcpTransactions => {
                const {
                    &[
                        higher("rate", "transactions/s"),
                        lower("median", "µs"),
                        lower("99th", "µs"),
                        lower("cpu", "µs/transaction"),
                    ]
                }
            }
            Self::Connections => const { &[higher("rate", "connections/s"), lower("cpu", "µs/connection")] },
        }
    }

    /// Loads `path` for so long. Streams have a CPU for each end, as they keep both busy; where one end waits for the
    /// other, both are on one CPU, or the figures depend on how fast a CPU wakes up.
    pub(crate) fn run(self, path: Path<'_>, round: u32, slice: Duration) -> Result<Vec<f64>> {
        match self {
            Self::Tcp1 => streams::run(path, 1, Cpus::two(round)?, slice),
            Self::Tcp4 => streams::run(path, 4, Cpus::two(round)?, slice),
            Self::Udp64 => datagrams::run(path, Cpus::two(round)?, slice),
            Self::UdpTransactions => transactions::udp(path, Cpus::one(round)?, slice),
            Self::TcpTransactions => transactions::tcp(path, Cpus::one(round)?, slice),
            Self::Connections => connections::run(path, Cpus::one(round)?, slice),
        }
    }
}
