//! Who reflects: a process in a namespace with wires to three clients.
//!
//! ```text
//! a 192.0.2.2 ─── 192.0.2.1 ┐
//! b 192.0.2.6 ─── 192.0.2.5 ┼ rr
//! c 192.0.2.10 ── 192.0.2.9 ┘
//! ```

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use weft_tests::peers::{Frr, FrrSettings, GoBgp};
use weft_tests::{End, Lab, Namespace, Settings, Weftd, Wire};

use super::ASN;

/// Whose program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Weft,
    Frr,
    GoBgp,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::Frr => "frr",
            Self::GoBgp => "gobgp",
        }
    }
}

/// It, running.
enum Running {
    Weft(Box<Weftd>),
    Frr(Box<Frr>),
    GoBgp(GoBgp),
}

/// A reflector and where its clients are.
pub(crate) struct Subject {
    running: Running,
    pub(crate) clients: Vec<Namespace>,
    _own: Namespace,
}

/// The address of a client, and the reflector's towards it.
pub(crate) fn addresses(client: u8) -> (Ipv4Addr, Ipv4Addr) {
    let base = client * 4;
    (Ipv4Addr::new(192, 0, 2, base + 2), Ipv4Addr::new(192, 0, 2, base + 1))
}

impl Subject {
    pub(crate) fn start(lab: &Lab, program: Program) -> Result<Self> {
        let own = lab.router("rr")?;
        let mut clients = Vec::new();
        for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
            let client = lab.namespace(name)?;
            let (theirs, ours) = addresses(u8::try_from(number)?);
            let net = |address: Ipv4Addr| ipnet::Ipv4Net::new_assert(address, 30).into();
            Wire::default().lay(
                End { namespace: &own, device: &format!("to-{name}"), addresses: &[net(ours)] },
                End { namespace: &client, device: "up0", addresses: &[net(theirs)] },
            )?;
            clients.push(client);
        }
        let running = match program {
            Program::Weft => Running::Weft(Box::new(weft(lab, &own)?)),
            Program::Frr => Running::Frr(Box::new(frr(lab, &own)?)),
            Program::GoBgp => Running::GoBgp(gobgp(lab, &own)?),
        };
        Ok(Self { running, clients, _own: own })
    }

    fn pid(&mut self) -> Result<u32> {
        let pid = match &mut self.running {
            Running::Weft(weftd) => weftd.pid(),
            Running::Frr(frr) => frr.bgpd().pid(),
            Running::GoBgp(gobgp) => gobgp.daemon().pid(),
        };
        pid.context("it does not run")
    }

    /// Seconds of CPU that it has used.
    pub(crate) fn cpu(&mut self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&mut self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024.0)
    }
}

fn weft(lab: &Lab, own: &Namespace) -> Result<Weftd> {
    let (_, address) = addresses(0);
    let vtep = weft_vxlan::Vtep::new(address.into())?;
    let mut settings = Settings::new(lab, "rr", "to-a", vtep);
    settings.asn = Some(ASN);
    let mut weftd = Weftd::new(lab, settings, own)?;
    weftd.start()?;
    let file = weftd.settings().folder.join("clients.json");
    fs::write(
        &file,
        r#"{"kind":"peer-group","name":"clients","asn":"internal","route_reflector_client":true,
            "ranges":["192.0.2.0/24"],"graceful_restart":false}"#,
    )?;
    weftd.weft().must(&["apply", "-f", file.to_str().context("a folder that is not UTF-8")?])?;
    Ok(weftd)
}

fn frr(lab: &Lab, own: &Namespace) -> Result<Frr> {
    let (mut neighbours, mut family) = (String::new(), String::new());
    for client in 0..3 {
        let (address, _) = addresses(client);
        neighbours += &format!(" neighbor {address} remote-as {ASN}\n neighbor {address} passive\n");
        family += &format!("  neighbor {address} activate\n  neighbor {address} route-reflector-client\n");
    }
    let bgpd = format!(
        "router bgp {ASN}\n bgp router-id 192.0.2.1\n no bgp default ipv4-unicast\n{neighbours} \
         address-family l2vpn evpn\n{family} exit-address-family\n"
    );
    Frr::start(lab, "frr", own, FrrSettings { bgpd: &bgpd, ..FrrSettings::default() })
}

fn gobgp(lab: &Lab, own: &Namespace) -> Result<GoBgp> {
    let mut toml = format!("[global.config]\nas = {ASN}\nrouter-id = \"192.0.2.1\"\n\n");
    for client in 0..3 {
        let (address, _) = addresses(client);
        toml += &format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{address}\"\npeer-as = {ASN}\n\
             [neighbors.transport.config]\npassive-mode = true\n\
             [neighbors.route-reflector.config]\nroute-reflector-client = true\n\
             route-reflector-cluster-id = \"192.0.2.1\"\n\
             [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"l2vpn-evpn\"\n\n"
        );
    }
    GoBgp::start(lab, "gobgp", own, &toml)
}
