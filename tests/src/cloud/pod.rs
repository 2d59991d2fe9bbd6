//! A workload: a namespace that weft attaches to its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use weft_vxlan::MacAddr;

use super::intent::Planned;
use crate::probe::EchoServer;
use crate::{Capture, Namespace, Packet};

/// Name of the device that weft gives to a pod.
pub const POD_DEVICE: &str = "eth0";
/// Name of the second.
pub const SECOND_DEVICE: &str = "eth1";

/// A workload.
#[derive(Debug)]
pub struct Pod {
    /// Its name, and its port's.
    pub name: String,
    /// Number of its host, from 0.
    pub host: usize,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its device in there.
    pub device: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// IPv4 address of its gateway.
    pub gateway4: Ipv4Addr,
    /// IPv6 address of its gateway.
    pub gateway6: Ipv6Addr,
}

impl Pod {
    pub(super) fn new(planned: &Planned, namespace: Namespace) -> Self {
        Self {
            name: planned.name.clone(),
            host: planned.host,
            namespace,
            device: planned.inside.as_ref().map_or(POD_DEVICE, |_| SECOND_DEVICE).to_owned(),
            mac: planned.mac,
            v4: planned.v4,
            v6: planned.v6,
            gateway4: planned.gateway4,
            gateway6: planned.gateway6,
        }
    }

    /// Its addresses of both families.
    #[must_use]
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Its gateway's addresses of both families.
    #[must_use]
    pub fn gateways(&self) -> [IpAddr; 2] {
        [self.gateway4.into(), self.gateway6.into()]
    }

    /// Captures on its device.
    ///
    /// # Errors
    /// It is not attached.
    pub fn capture(&self, filter: impl Fn(&Packet) -> bool + Send + 'static) -> Result<Capture> {
        Capture::start(&self.namespace, &self.device, filter)
    }

    /// An echo server that says the pod's name.
    ///
    /// # Errors
    /// There is one.
    pub fn serve(&self) -> Result<EchoServer> {
        EchoServer::start(&self.namespace, &self.name)
    }

    /// Pings another pod over both families.
    ///
    /// # Errors
    /// An answer is missing.
    pub fn pings(&self, other: &Pod) -> Result<()> {
        other.addresses().into_iter().try_for_each(|address| self.pings_address(address))
    }

    /// Pings an address.
    ///
    /// # Errors
    /// There is no answer.
    pub fn pings_address(&self, address: IpAddr) -> Result<()> {
        let result = self.namespace.ping(address)?;
        ensure!(result.is_ok(), "ping from {} to {address}: {result:?}", self.name);
        Ok(())
    }

    /// Pings, talks UDP and TCP with another pod's echo server over both families, and makes sure that it is that
    /// pod which answers.
    ///
    /// # Errors
    /// An answer is missing, or another's.
    pub fn talks_to(&self, other: &Pod) -> Result<()> {
        self.pings(other)?;
        for address in other.addresses() {
            let said = format!("{} here", self.name);
            let wanted = format!("{}:{said}", other.name);
            for (over, answer) in [
                ("UDP", self.namespace.udp_echo(address, &said)),
                ("TCP", self.namespace.tcp_echo(address, &said)),
            ] {
                let answer =
                    answer.with_context(|| format!("{over} from {} to {}", self.name, other.name))?;
                ensure!(
                    answer == wanted,
                    "{over} from {} to {address}: {answer:?}, not {wanted:?}",
                    self.name
                );
            }
        }
        Ok(())
    }
}
