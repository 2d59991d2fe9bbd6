//! Topologies in real network namespaces, with real weftds on them; each file opens with its drawing.

mod bad_input;
mod drops;
mod flooding;
mod foreign;
mod forged;
mod getting_started;
mod harness;
mod impaired;
mod interrupted;
mod kills;
mod lost_pins;
mod overlapping_tenants;
mod ownership;
mod pmtu;
mod power_cut;
mod replacements;
mod restart;
mod same_host;
mod spoofing;
mod traceroute;
mod transfers;
mod two_data_centres;
mod two_hosts;
mod two_nics;
mod xdp;
