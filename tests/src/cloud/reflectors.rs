//! Route reflectors of [`two_data_centres`](crate::underlay::two_data_centres): on each router one for the hosts of its
//! data centre, which tells the other one by eBGP what it learned.
//!
//! ```text
//! h1 ┐ iBGP                eBGP                iBGP ┌ h3
//!    ├────── r1 AS 65001 ──────── r2 AS 65002 ──────┤
//! h2 ┘       203.0.113.1          203.0.113.2       └ h4
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use anyhow::{Result, bail};
use weft_vxlan::Vtep;

use super::{Fabric, apply};
use crate::peers::{Frr, FrrSettings, GoBgp};
use crate::underlay::Underlay;
use crate::{Lab, Namespace, Settings, Weftd};

const ASNS: [u32; 2] = [65001, 65002];
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 2)];

/// Whose program reflects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflector {
    /// weft's own: a weftd without ports.
    Weft,
    /// FRR's bgpd.
    Frr,
    /// GoBGP.
    GoBgp,
}

impl FromStr for Reflector {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "weft" => Ok(Self::Weft),
            "frr" => Ok(Self::Frr),
            "gobgp" => Ok(Self::GoBgp),
            other => bail!("{other:?} is no reflector; weft, frr and gobgp are"),
        }
    }
}

impl fmt::Display for Reflector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weft => "weft",
            Self::Frr => "FRR",
            Self::GoBgp => "GoBGP",
        })
    }
}

/// Both, running.
#[derive(Debug)]
pub enum Reflectors {
    /// weft's own.
    Weft(Vec<Weftd>),
    /// FRR.
    Frr(Vec<Frr>),
    /// GoBGP.
    GoBgp(Vec<GoBgp>),
}

impl Reflectors {
    /// Starts one on each router.
    ///
    /// # Errors
    /// It is not installed, or does not take its configuration.
    pub fn start(lab: &Lab, reflector: Reflector, underlay: &Underlay) -> Result<Self> {
        let vteps: Vec<_> = underlay.machines.iter().map(|machine| machine.vtep).collect();
        let sites = underlay.routers.iter().zip([0, 1]);
        let sites = sites.map(|(router, site)| (router, Site { site, clients: clients(&vteps, site) }));
        Ok(match reflector {
            Reflector::Weft => Self::Weft(sites.map(|(on, site)| site.weft(lab, on)).collect::<Result<_>>()?),
            Reflector::Frr => Self::Frr(sites.map(|(on, site)| site.frr(lab, on)).collect::<Result<_>>()?),
            Reflector::GoBgp => {
                Self::GoBgp(sites.map(|(on, site)| site.gobgp(lab, on)).collect::<Result<_>>()?)
            }
        })
    }
}

impl Fabric {
    /// Each host of two data centres is a client of its router's reflector. Targets of any AS are imported, for each data
    /// centre has its own.
    #[must_use]
    pub fn data_centres(vteps: &[Vtep]) -> Self {
        let site = |host: usize| usize::from(host >= vteps.len() / 2);
        let documents = vteps.iter().enumerate().map(|(host, vtep)| {
            let (address, asn) = (ADDRESSES[site(host)], ASNS[site(host)]);
            vec![format!(
                r#"{{"kind":"peer","name":"rr","address":"{address}","asn":{asn},"local_address":"{vtep}"}}"#
            )]
        });
        Self {
            asns: (0..vteps.len()).map(|host| ASNS[site(host)]).collect(),
            documents: documents.collect(),
            any_as: true,
        }
    }
}

/// The first half of the hosts is in the first data centre.
fn clients(vteps: &[Vtep], site: usize) -> Vec<Vtep> {
    let half = vteps.len() / 2;
    vteps.iter().skip(site * half).take(half).copied().collect()
}

/// A data centre.
struct Site {
    site: usize,
    clients: Vec<Vtep>,
}

impl Site {
    fn name(&self) -> String {
        format!("r{}", self.site + 1)
    }

    fn weft(&self, lab: &Lab, router: &Namespace) -> Result<Weftd> {
        let (own, other) = (self.site, 1 - self.site);
        let mut settings = Settings::new(lab, &self.name(), "wan", Vtep::new(ADDRESSES[own].into())?);
        settings.asn = Some(ASNS[own]);
        let mut weftd = Weftd::new(lab, settings, router)?;
        weftd.start()?;
        let ranges: Vec<_> = self.clients.iter().map(|vtep| format!("\"{vtep}/32\"")).collect();
        let documents = format!(
            r#"{{"kind":"peer-group","name":"hosts","asn":"internal","route_reflector_client":true,"ranges":[{}]}}
---
{{"kind":"peer","name":"r{}","address":"{}","asn":{}}}"#,
            ranges.join(","),
            other + 1,
            ADDRESSES[other],
            ASNS[other],
        );
        apply(&weftd, "peers.yaml", &documents)?;
        Ok(weftd)
    }

    fn frr(&self, lab: &Lab, router: &Namespace) -> Result<Frr> {
        let (own, other) = (self.site, 1 - self.site);
        let (mut neighbours, mut family) = (String::new(), String::new());
        for client in &self.clients {
            neighbours +=
                &format!(" neighbor {client} remote-as {}\n neighbor {client} passive\n", ASNS[own]);
            family += &format!("  neighbor {client} activate\n  neighbor {client} route-reflector-client\n");
        }
        let peer = ADDRESSES[other];
        let bgpd = format!(
            "router bgp {}\n bgp router-id {}\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n{neighbours} \
             neighbor {peer} remote-as {}\n neighbor {peer} timers connect 1\n address-family l2vpn evpn\n{family}  \
             neighbor {peer} activate\n  neighbor {peer} attribute-unchanged next-hop\n exit-address-family\n",
            ASNS[own], ADDRESSES[own], ASNS[other],
        );
        let settings = FrrSettings { bgpd: &bgpd, ..FrrSettings::default() };
        Frr::start(lab, &format!("{}-frr", self.name()), router, settings)
    }

    fn gobgp(&self, lab: &Lab, router: &Namespace) -> Result<GoBgp> {
        let (own, other) = (self.site, 1 - self.site);
        let evpn = "[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = 120\n\
                    [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"l2vpn-evpn\"\n\
                    [neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n\n";
        let mut toml = format!("[global.config]\nas = {}\nrouter-id = \"{}\"\n\n", ASNS[own], ADDRESSES[own]);
        for client in &self.clients {
            toml += &format!(
                "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{client}\"\npeer-as = {}\n\
                 [neighbors.transport.config]\npassive-mode = true\n\
                 [neighbors.route-reflector.config]\nroute-reflector-client = true\n\
                 route-reflector-cluster-id = \"{}\"\n{evpn}",
                ASNS[own], ADDRESSES[own],
            );
        }
        toml += &format!(
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\n{evpn}\
             [[policy-definitions]]\nname = \"keep-next-hop\"\n[[policy-definitions.statements]]\n\
             [policy-definitions.statements.actions]\nroute-disposition = \"accept-route\"\n\
             [policy-definitions.statements.actions.bgp-actions]\nset-next-hop = \"unchanged\"\n\
             [global.apply-policy.config]\nexport-policy-list = [\"keep-next-hop\"]\n\
             default-export-policy = \"accept-route\"\n",
            ADDRESSES[other], ASNS[other],
        );
        GoBgp::start(lab, &format!("{}-gobgp", self.name()), router, &toml)
    }
}
