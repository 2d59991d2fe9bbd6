//! Topologies in real network namespaces; each file opens with its drawing.

mod harness;
