//! The loaded programs, one packet at a time (`BPF_PROG_TEST_RUN`): what goes in, what comes out, what is counted.
//!
//! The kernel runs a program on the packet as if it had arrived, without sending it anywhere: a redirect shows as
//! its verdict, and the port that it is counted for tells which one was meant. Which device a packet really leaves
//! by is for the tests in namespaces.

#![expect(clippy::unwrap_used, reason = "a test that cannot build its packet has failed")]

mod arp;
mod ecn;
mod extension_headers;
mod firewall;
mod flood;
mod from_pod;
mod from_underlay;
mod from_vxlan;
mod gateway;
mod icmp_errors;
mod ipv6_underlay;
mod load;
mod multipath;
mod mutated;
mod neighbour_discovery;
mod program_log;
mod reasons;
mod reference;
mod seals;
mod underlay_mtu;
mod world;
mod xdp;
