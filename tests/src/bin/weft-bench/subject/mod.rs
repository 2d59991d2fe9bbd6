//! What is measured: weft and its rivals, each with two hosts on a wire of their own and three pods.
//!
//! ```text
//! client ┐                           ┌ far
//!        ├ host 1 up0 ─── up0 host 2 ┘
//! near   ┘
//! ```

mod firewall;
mod hosts;
mod plain;
pub(crate) mod secured;
pub(crate) mod strangers;
mod vxlan;
mod weft;

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use weft_api::view::Xdp;
use weft_tests::cloud::Cloud;
use weft_tests::probe::ANSWER;
use weft_tests::{Lab, Namespace};

use crate::load::Path;

pub(crate) use firewall::{Rules, start as start_firewall};
pub(crate) use hosts::Rival;
pub(crate) use vxlan::{NAME as VXLAN, WHAT as VXLAN_WHAT, start as start_vxlan};
pub(crate) use weft::start as start_weft;

/// MTU of every wire between hosts.
pub(crate) const UNDERLAY_MTU: u32 = 1500;

/// VNI of the subnet that all pods are in, for weft and for the kernel's vxlan.
pub(crate) const SUBNET_VNI: u32 = 101;

/// A way to network pods, ready to be loaded.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'static str,
    /// What it is, in a few words.
    pub(crate) what: &'static str,
    pub(crate) client: &'a Namespace,
    pub(crate) far: (&'a Namespace, IpAddr),
    pub(crate) near: (&'a Namespace, IpAddr),
}

/// Which of a subject's paths is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// From one host to the other.
    TwoHosts,
    /// Between pods of one host.
    SameHost,
}

impl Place {
    pub(crate) const ALL: [Self; 2] = [Self::TwoHosts, Self::SameHost];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TwoHosts => "two-hosts",
            Self::SameHost => "same-host",
        }
    }
}

impl Subject<'_> {
    pub(crate) fn path(&self, place: Place) -> Path<'_> {
        let (server, address) = match place {
            Place::TwoHosts => self.far,
            Place::SameHost => self.near,
        };
        Path { client: self.client, server, address }
    }

    /// Makes sure that it works, with packets of full size too, and that all neighbours are resolved.
    pub(crate) fn check(&self) -> Result<()> {
        for place in Place::ALL {
            let path = self.path(place);
            for bytes in [56, 1400] {
                let answer = path.client.ping_sized(path.address, bytes, ANSWER)?;
                ensure!(answer.is_ok(), "{}, {}: ping of {bytes} bytes: {answer:?}", self.name, place.name());
            }
        }
        Ok(())
    }
}

/// Does `work` while all subjects are up. weft comes first: it is what the others are compared with.
pub(crate) fn with_all(lab: &Lab, work: impl FnOnce(&[Subject<'_>], &Cloud<'_>) -> Result<()>) -> Result<()> {
    let cloud = start_weft(lab, Xdp::default()).context("weft")?;
    let vxlan = vxlan::start(lab).context(vxlan::NAME)?;
    let firewall = firewall::start(lab, "nft", firewall::RULES).context(firewall::NAME)?;
    let plain = plain::start(lab).context(plain::NAME)?;
    let subjects = [
        weft::subject(&cloud),
        vxlan.subject(vxlan::NAME, vxlan::WHAT),
        firewall.subject(firewall::NAME, firewall::WHAT),
        plain.subject(plain::NAME, plain::WHAT),
    ];
    subjects.iter().try_for_each(Subject::check)?;
    work(&subjects, &cloud)
}
