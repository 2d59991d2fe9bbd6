//! Plan: what the kernel should hold for what is desired. Pure: values in, values out.

mod devices;
mod entries;
mod flood;
mod host;
mod identities;
mod next_hop;
mod policies;
mod routes;
mod slots;
mod tables;
mod tenants;
mod xdp;

pub(crate) use devices::{Devices, WantedPort};
pub(crate) use entries::{Entries, Source, Work};
pub(crate) use flood::{Flood, list as flood_list};
pub(crate) use host::workable;
pub(crate) use identities::Identities;
pub(crate) use next_hop::NextHops;
pub(crate) use policies::{
    GuardedPort, Left, Policies, PolicyKeys, PolicyPlan, Step, Unfit, identity_key, prefix_key, service_key,
};
pub(crate) use routes::{Pinned, RouteTables};
pub(crate) use slots::Slots;
pub(crate) use tables::{Guard, LocalPort, Tables};
pub(crate) use tenants::Tenants;
pub(crate) use xdp::WantedXdp;
