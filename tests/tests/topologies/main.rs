//! Topologies in real network namespaces, with real weftds on them; each file opens with its drawing.

mod around;
mod bad_input;
mod flooding;
mod foreign;
mod forged;
mod getting_started;
mod harness;
mod interrupted;
mod lost_pins;
mod overlapping_tenants;
mod ownership;
mod pmtu;
mod restart;
mod same_host;
mod spoofing;
mod traceroute;
mod transfers;
mod two_data_centres;
mod two_hosts;
mod two_nics;
mod witness;
