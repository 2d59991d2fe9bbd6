//! Who takes part: a subject in a namespace of its own, and its peers in another.
//!
//! ```text
//! subject up0 ───────── up0 peers
//! 192.0.2.1             192.0.2.2 sends, .3 receives, .4 comes late
//! ```

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use ipnet::Ipv4Net;
use weft_tests::peers::{Frr, FrrSettings, GoBgp, KernelVtep};
use weft_tests::underlay::{self, Machine, UPLINK};
use weft_tests::{Lab, Settings, Weftd, Wire};

use super::routes::{PREFIX, VNI};

pub(super) const ASN: u32 = 65000;
pub(super) const SUBJECT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const RECEIVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
pub(super) const LATE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 4);
/// Of a log that explains a failure.
const LINES: usize = 20;
/// A hold time that no run takes.
const LONG: u16 = 3600;
pub(super) const NETWORK_VNI: u32 = 100;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Weft,
    Frr,
    GoBgp,
}

impl Subject {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::Frr => "frr",
            Self::GoBgp => "gobgp",
        }
    }

    /// The hold time of its peers, in seconds. 0: nobody is to send keepalives, and none can be late because somebody is
    /// busy. With 0, GoBGP has no patience with anything that it writes.
    pub(super) const fn hold_time(self) -> u16 {
        match self {
            Self::Weft | Self::Frr => 0,
            Self::GoBgp => LONG,
        }
    }
}

/// What it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Pass routes on between clients.
    Reflect,
    /// Bring routes into the kernel: FDB or maps.
    Forward,
}

/// The two namespaces.
pub(super) struct Ground {
    pub(super) subject: Machine,
    pub(super) peers: Machine,
}

impl Ground {
    pub(super) fn lay(lab: &Lab) -> Result<Self> {
        let mut machines = underlay::two_hosts(lab, Wire::default())?.machines.into_iter();
        let subject = machines.next().context("no first host")?;
        let peers = machines.next().context("no second host")?;
        for address in [RECEIVER, LATE] {
            peers.namespace.add_address(UPLINK, Ipv4Net::new(address, 24)?.into())?;
        }
        Ok(Self { subject, peers })
    }
}

/// A subject that runs.
pub(super) enum Running {
    Weft(Box<Weftd>),
    Frr(Box<Frr>),
    GoBgp(GoBgp),
}

impl Running {
    /// Starts it; it takes connections soon.
    pub(super) fn start(
        subject: Subject,
        task: Task,
        lab: &Lab,
        ground: &Ground,
        routes: usize,
    ) -> Result<Self> {
        Ok(match subject {
            Subject::Weft => Self::Weft(Box::new(weft(lab, ground, task, routes)?)),
            Subject::Frr => Self::Frr(Box::new(frr(lab, ground, task)?)),
            Subject::GoBgp => {
                Self::GoBgp(GoBgp::start(lab, "gobgp", &ground.subject.namespace, &gobgp_toml())?)
            }
        })
    }

    /// What it said last.
    pub(super) fn log_end(&mut self) -> String {
        match self {
            Self::Weft(weftd) => weftd.log_end(LINES),
            Self::Frr(frr) => frr.bgpd().log_end(LINES),
            Self::GoBgp(gobgp) => gobgp.daemon().log_end(LINES),
        }
    }

    /// Its processes.
    pub(super) fn processes(&mut self) -> Vec<u32> {
        match self {
            Self::Weft(weftd) => weftd.pid().into_iter().collect(),
            Self::Frr(frr) => [frr.bgpd().pid(), frr.zebra().pid()].into_iter().flatten().collect(),
            Self::GoBgp(gobgp) => gobgp.daemon().pid().into_iter().collect(),
        }
    }
}

/// weftd, with all neighbours as clients.
fn weft(lab: &Lab, ground: &Ground, task: Task, routes: usize) -> Result<Weftd> {
    let mut settings = Settings::new(lab, "subject", UPLINK, ground.subject.vtep);
    settings.asn = Some(ASN);
    settings.self_test = false;
    if task == Task::Forward {
        settings.addresses = u32::try_from(routes)? + 4096;
    }
    let mut weftd = Weftd::new(lab, settings, &ground.subject.namespace)?;
    weftd.start()?;
    let mut documents = "kind: peer-group\nname: hosts\nasn: internal\nroute_reflector_client: true\n\
                         ranges: [192.0.2.0/24]\n"
        .to_owned();
    if task == Task::Forward {
        documents.push_str(&format!(
            "---\nkind: network\nname: bench\ntenant: bench\nvni: {NETWORK_VNI}\ndefault_ingress: allow\n\
             ---\nkind: subnet\nname: bulk\nnetwork: bench\nvni: {VNI}\nipv4: {PREFIX}\n"
        ));
    }
    let file = lab.folder().join("subject.yaml");
    fs::write(&file, documents)?;
    weftd.weft().must(&[
        "apply",
        "-f",
        file.to_str().context("the temporary folder's name is not UTF-8")?,
    ])?;
    Ok(weftd)
}

/// FRR, with all neighbours as clients; as a VTEP with a bridge in the VNI of the routes.
fn frr(lab: &Lab, ground: &Ground, task: Task) -> Result<Frr> {
    let namespace = &ground.subject.namespace;
    let advertise = match task {
        Task::Reflect => "",
        Task::Forward => {
            KernelVtep { underlay: namespace, overlay: namespace, address: IpAddr::V4(SUBJECT) }
                .add_vni(VNI)?;
            "  advertise-all-vni\n"
        }
    };
    let bgpd = format!(
        "router bgp {ASN}\n bgp router-id {SUBJECT}\n no bgp default ipv4-unicast\n \
         neighbor hosts peer-group\n neighbor hosts remote-as {ASN}\n \
         bgp listen range 192.0.2.0/24 peer-group hosts\n address-family l2vpn evpn\n  \
         neighbor hosts activate\n  neighbor hosts route-reflector-client\n{advertise} exit-address-family\n"
    );
    Frr::start(lab, "frr", namespace, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })
}

fn gobgp_toml() -> String {
    let peer = |address: Ipv4Addr| {
        format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {ASN}\n\
             [neighbors.transport.config]\npassive-mode = true\n\
             [neighbors.timers.config]\nhold-time = {LONG}\nidle-hold-time-after-reset = 1\n\
             [neighbors.route-reflector.config]\nroute-reflector-client = true\n\
             route-reflector-cluster-id = \"{SUBJECT}\"\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"l2vpn-evpn\"\n"
        )
    };
    let peers: String = [SENDER, RECEIVER, LATE].into_iter().map(peer).collect();
    format!("[global.config]\nas = {ASN}\nrouter-id = \"{SUBJECT}\"\n\n{peers}")
}
