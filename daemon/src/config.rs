//! `weftd.toml`: what a host is told about itself. Everything else is intent and comes through the API.
//!
//! Whatever is wrong is said with file, line and column. That is why the rules sit in the types of
//! [`value`]: the TOML reader knows where the text of a value is only while it reads it.

mod bgp;
mod error;
mod flows;
mod value;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use weft_api::view::Xdp;
use weft_dataplane::desired::{self, FlowLimits};
use weft_vxlan::{MacAddr, UDP_PORT, Vtep};

use crate::flows::log;
use crate::flows::top::Room;
pub use bgp::{Bgp, Speaker, asn_fault};
pub use error::ConfigError;
pub use flows::{FlowLog, Flows};
pub use value::{AbsolutePath, DeviceName, HostName, UnicastMac};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[host]`
    #[serde(default)]
    pub host: HostSection,
    /// `[underlay]`
    pub underlay: Underlay,
    /// `[state]`
    #[serde(default)]
    pub state: State,
    /// `[api]`
    #[serde(default)]
    pub api: Api,
    /// `[bpf]`
    #[serde(default)]
    pub bpf: Bpf,
    /// `[sizes]`
    #[serde(default)]
    pub sizes: Sizes,
    /// `[limits]`
    #[serde(default)]
    pub limits: Limits,
    /// `[flows]`
    #[serde(default)]
    pub flows: Flows,
    /// `[flow_log]`
    #[serde(default)]
    flow_log: FlowLog,
    /// `[bgp]`
    bgp: Option<Spanned<Bgp>>,
}

/// Who the host is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSection {
    /// Its name; the machine's unless given.
    name: Option<HostName>,
}

/// The host's place in the underlay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Underlay {
    /// The device that VXLAN arrives on.
    pub device: DeviceName,
    /// Our tunnel address. Other hosts' must be of its family.
    pub vtep: Vtep,
    router_mac: Option<Spanned<UnicastMac>>,
    udp_port: Option<NonZeroU16>,
    #[serde(default = "default_gateway_mac")]
    gateway_mac: UnicastMac,
    /// What the device does before there is an skb.
    #[serde(default)]
    xdp: Xdp,
    /// Whether the ways to other hosts are tested for damaged checksums.
    #[serde(default = "yes")]
    pub self_test: bool,
}

/// Where weftd keeps its intent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// A folder of weft's own; created if missing.
    pub folder: AbsolutePath,
}

/// How weftd is spoken to, and by whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Path of the unix socket.
    pub socket: AbsolutePath,
    /// Users who may use it, besides root and weftd's own.
    pub allow_uids: Vec<u32>,
    /// Groups whose members (by primary group of the calling process) may use it.
    pub allow_gids: Vec<u32>,
}

/// Where the kernel programs and maps are pinned.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bpf {
    /// A folder of weft's own on a bpffs.
    pub pin_folder: AbsolutePath,
    /// How programs are attached, in place of the best that the kernel has. For tests.
    hook: Option<Hook>,
}

/// As [`weft_dataplane::Hook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Hook {
    Tcx,
    Clsact,
}

/// How much the kernel's maps have room for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sizes {
    ports: NonZeroU32,
    vnis: NonZeroU32,
    vteps: NonZeroU32,
    addresses: NonZeroU32,
    prefixes: NonZeroU32,
    flows: NonZeroU32,
    half_open: NonZeroU32,
    rules: NonZeroU32,
    #[serde(deserialize_with = "value::ring_bytes")]
    events: u32,
}

/// What each port may cause, times a second.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    floods: u32,
    icmp_errors: u32,
    drop_events: u32,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and, if its text is at fault, line and column.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|cause| ConfigError::Unreadable { file: file.to_owned(), cause })?;
        Self::parse(file, &text)
    }

    /// Checks the text of a file.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with line and column.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::invalid(file, text, error.span(), error.message()))?;
        if let Some(router_mac) = &config.underlay.router_mac
            && *router_mac.get_ref() == config.underlay.gateway_mac
        {
            let message = "router_mac is also gateway_mac; the router's is this host's alone, the gateway's the \
                           same on all hosts";
            return Err(ConfigError::invalid(file, text, Some(router_mac.span()), message));
        }
        if let Some(bgp) = &config.bgp
            && config.speaker().is_none()
        {
            let message = "bgp.router_id is missing: the VTEP is no IPv4 address that it could be made of; give one in \
                           the form of an IPv4 address that no other host has";
            return Err(ConfigError::invalid(file, text, Some(bgp.span()), message));
        }
        if let Some((span, message)) = config.flows.fault(&config.sizes) {
            return Err(ConfigError::invalid(file, text, Some(span), &message));
        }
        Ok(config)
    }

    /// How many connections there may be, and for how long.
    #[must_use]
    pub fn flow_limits(&self) -> desired::FlowLimits {
        self.flows.for_dataplane(&self.sizes)
    }

    /// How many connections there is room for.
    #[must_use]
    pub fn flow_room(&self) -> Room {
        let FlowLimits { per_port, per_tenant, half_open: half_open_per_port, .. } = self.flow_limits();
        let Sizes { flows, half_open, .. } = self.sizes;
        Room { per_port, per_tenant, half_open_per_port, open: flows.get(), half_open: half_open.get() }
    }

    /// Where connections that ended are logged, if anywhere.
    #[must_use]
    pub fn flow_log(&self) -> Option<log::Settings> {
        self.flow_log.settings()
    }

    /// The host's name: from the file, or the machine's.
    #[must_use]
    pub fn host_name(&self) -> String {
        self.host.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_else(|| {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
        })
    }

    /// What the data plane needs to open.
    #[must_use]
    pub fn dataplane_options(&self) -> weft_dataplane::Options {
        weft_dataplane::Options {
            pin_folder: self.bpf.pin_folder.as_path().to_owned(),
            sizes: self.sizes.for_dataplane(),
            hook: self.bpf.hook.map(|hook| match hook {
                Hook::Tcx => weft_dataplane::Hook::Tcx,
                Hook::Clsact => weft_dataplane::Hook::Clsact,
            }),
            keep_routes: self.bgp.is_some(),
        }
    }

    /// What this host is to its BGP neighbours; `None`: it speaks no BGP.
    #[must_use]
    pub fn speaker(&self) -> Option<Speaker> {
        self.bgp.as_ref().and_then(|bgp| bgp.get_ref().speaker(self.underlay.vtep))
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.folder.as_path().join(crate::store::FILE_NAME)
    }
}

impl Underlay {
    /// Our MAC towards other hosts.
    #[must_use]
    pub fn router_mac(&self) -> MacAddr {
        self.router_mac.as_ref().map_or_else(|| self.vtep.default_router_mac(), |mac| mac.get_ref().get())
    }

    /// The anycast gateways' MAC towards ports.
    #[must_use]
    pub const fn gateway_mac(&self) -> MacAddr {
        self.gateway_mac.get()
    }

    /// What the device does before there is an skb, in the data plane's words.
    #[must_use]
    pub const fn xdp(&self) -> desired::Xdp {
        match self.xdp {
            Xdp::Auto => desired::Xdp::Auto,
            Xdp::Off => desired::Xdp::Off,
            Xdp::Guard => desired::Xdp::Guard,
            Xdp::Forward => desired::Xdp::Forward,
        }
    }

    /// UDP port of VXLAN.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.udp_port.map_or(UDP_PORT, NonZeroU16::get)
    }
}

impl Sizes {
    /// The same in the data plane's words.
    #[must_use]
    pub const fn for_dataplane(self) -> weft_dataplane::Sizes {
        weft_dataplane::Sizes {
            ports: self.ports.get(),
            vnis: self.vnis.get(),
            vteps: self.vteps.get(),
            addresses: self.addresses.get(),
            prefixes: self.prefixes.get(),
            flows: self.flows.get(),
            half_open: self.half_open.get(),
            rules: self.rules.get(),
            events: self.events,
        }
    }
}

impl Limits {
    /// The same in the data plane's words.
    #[must_use]
    pub const fn for_dataplane(self) -> desired::Limits {
        desired::Limits { floods: self.floods, icmp_errors: self.icmp_errors, drop_events: self.drop_events }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { folder: AbsolutePath::of("/var/lib/weft") }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            socket: AbsolutePath::of("/run/weft/weftd.sock"),
            allow_uids: Vec::new(),
            allow_gids: Vec::new(),
        }
    }
}

impl Default for Bpf {
    fn default() -> Self {
        Self { pin_folder: AbsolutePath::of("/sys/fs/bpf/weft"), hook: None }
    }
}

impl Default for Sizes {
    fn default() -> Self {
        const fn size(entries: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(entries - 1)
        }
        Self {
            ports: size(4096),
            vnis: size(16_384),
            vteps: size(4096),
            addresses: size(1_048_576),
            prefixes: size(131_072),
            flows: size(262_144),
            half_open: size(65_536),
            rules: size(262_144),
            events: 1_048_576,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let desired::Limits { floods, icmp_errors, drop_events } = desired::Limits::default();
        Self { floods, icmp_errors, drop_events }
    }
}

const fn yes() -> bool {
    true
}

/// In the range that IANA keeps for VRRP (RFC 5798 section 7.3), so that no NIC has it.
const fn default_gateway_mac() -> UnicastMac {
    UnicastMac::of(MacAddr::new([0x00, 0x00, 0x5e, 0x00, 0x01, 0x01]))
}

#[cfg(test)]
mod tests;
