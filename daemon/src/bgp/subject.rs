//! What somebody wants explained: an address, a prefix or a MAC, and where that can be. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use weft_bgp::evpn;
use weft_vxlan::MacAddr;

use crate::model::Model;

/// An address, a prefix or a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A single address.
    Address(IpAddr),
    /// A prefix.
    Prefix(IpNet),
    /// A MAC address.
    Mac(MacAddr),
}

/// A text that is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address, prefix or MAC, such as 10.0.0.9, 10.9.0.0/16 or 02:00:00:00:00:09")]
pub struct NoSubject(String);

/// A subject in one network or subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the network.
    pub network: String,
    /// Name of the subnet, of a MAC.
    pub subnet: Option<String>,
    /// The same in the words of the instances.
    pub subject: evpn::Subject,
}

impl FromStr for Subject {
    type Err = NoSubject;

    /// A prefix of a single address is that address.
    fn from_str(text: &str) -> Result<Self, NoSubject> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Ok(prefix) = text.parse::<IpNet>() {
            let single = prefix.prefix_len() == prefix.max_prefix_len();
            return Ok(if single { Self::Address(prefix.addr()) } else { Self::Prefix(prefix.trunc()) });
        }
        text.parse().map(Self::Mac).map_err(|_| NoSubject(text.to_owned()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

impl Subject {
    /// Where it can be: each network, or of a MAC each subnet; only of `network` if that is given.
    #[must_use]
    pub fn places(&self, model: &Model, network: Option<&str>) -> Vec<Place> {
        let wanted = |name: &str| network.is_none_or(|network| network == name);
        let networks = model.networks.values().filter(|network| wanted(&network.name));
        let in_network = |subject: &dyn Fn(weft_vxlan::Vni) -> evpn::Subject| {
            let places = networks.clone().map(|network| Place {
                network: network.name.clone(),
                subnet: None,
                subject: subject(network.vni),
            });
            places.collect()
        };
        match *self {
            Self::Address(address) => in_network(&|vni| evpn::Subject::Host(vni, address)),
            Self::Prefix(prefix) => in_network(&|vni| evpn::Subject::Prefix(vni, prefix)),
            Self::Mac(mac) => {
                let subnets = model.subnets.iter().filter(|(_, subnet)| wanted(&subnet.network));
                let places = subnets.map(|(name, subnet)| Place {
                    network: subnet.network.clone(),
                    subnet: Some(name.clone()),
                    subject: evpn::Subject::Mac(subnet.vni, mac),
                });
                places.collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::bgp::{good, speaking_host};

    #[test]
    fn texts() {
        for (text, subject) in [
            ("10.0.0.9", Subject::Address("10.0.0.9".parse().unwrap())),
            ("fd00::/127", Subject::Prefix("fd00::/127".parse().unwrap())),
            ("10.9.0.0/16", Subject::Prefix("10.9.0.0/16".parse().unwrap())),
            ("02:00:00:00:00:09", Subject::Mac("02:00:00:00:00:09".parse().unwrap())),
        ] {
            assert_eq!(text.parse(), Ok(subject));
            assert_eq!(subject.to_string(), text);
        }
        assert_eq!("10.9.1.0/16".parse::<Subject>().unwrap().to_string(), "10.9.0.0/16");
        assert_eq!("10.0.0.9/32".parse::<Subject>().unwrap().to_string(), "10.0.0.9");
        assert_eq!("fd00::9/128".parse::<Subject>().unwrap().to_string(), "fd00::9");
        let error = "web-1".parse::<Subject>().unwrap_err().to_string();
        assert!(error.starts_with("\"web-1\" is no address, prefix or MAC"), "{error}");
    }

    #[test]
    fn places_of_a_subject() {
        let model = Model::build(&good(), &speaking_host(), &[]).unwrap();
        let names = |text: &str, network: Option<&str>| {
            let places = text.parse::<Subject>().unwrap().places(&model, network);
            places
                .into_iter()
                .map(|place| (place.network, place.subnet.unwrap_or_default(), place.subject))
                .collect::<Vec<_>>()
        };
        let vni = |number: u32| number.try_into().unwrap();
        let (red, blue, green) = ("red".to_owned(), "blue".to_owned(), "green".to_owned());
        let host = |number| evpn::Subject::Host(vni(number), "10.0.0.9".parse().unwrap());
        assert_eq!(
            names("10.0.0.9", None),
            [
                (blue, String::new(), host(6000)),
                (green, String::new(), host(7000)),
                (red.clone(), String::new(), host(5000))
            ]
        );
        let prefix = evpn::Subject::Prefix(vni(5000), "10.9.0.0/16".parse().unwrap());
        assert_eq!(names("10.9.0.0/16", Some("red")), [(red.clone(), String::new(), prefix)]);
        let mac = evpn::Subject::Mac(vni(5001), "02:00:00:00:00:09".parse().unwrap());
        assert_eq!(names("02:00:00:00:00:09", Some("red")), [(red, "red-a".to_owned(), mac)]);
        assert_eq!(names("02:00:00:00:00:09", Some("black")), []);
    }
}
