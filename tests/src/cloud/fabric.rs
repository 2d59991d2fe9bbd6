//! How the hosts of a cloud learn of each other by BGP-EVPN.

use weft_vxlan::Vtep;

/// What each host is told of its neighbours, by the number of the host.
#[derive(Debug, Clone)]
pub struct Fabric {
    /// Its AS.
    pub asns: Vec<u32>,
    /// Its peers and groups, as documents.
    pub documents: Vec<Vec<String>>,
    /// Whether networks and subnets import route targets of any AS.
    pub any_as: bool,
}

/// The AS of a fabric with one.
pub const ASN: u32 = 65000;

impl Fabric {
    /// All in one AS; the host with number `reflector` reflects routes to all others.
    #[must_use]
    pub fn reflector(vteps: &[Vtep], reflector: usize) -> Self {
        let ranges: Vec<_> = vteps.iter().map(|vtep| format!("\"{}\"", host_prefix(*vtep))).collect();
        let group = format!(
            r#"{{"kind":"peer-group","name":"hosts","asn":"internal","route_reflector_client":true,"ranges":[{}]}}"#,
            ranges.join(",")
        );
        let documents = (0..vteps.len()).map(|host| {
            if host == reflector {
                vec![group.clone()]
            } else {
                vec![Self::peer("rr", vteps[reflector], ASN, "")]
            }
        });
        Self { asns: vec![ASN; vteps.len()], documents: documents.collect(), any_as: false }
    }

    /// All in one AS, and each with each.
    #[must_use]
    pub fn mesh(vteps: &[Vtep]) -> Self {
        let documents = (0..vteps.len()).map(|host| {
            let others = vteps.iter().enumerate().filter(|(other, _)| *other != host);
            others.map(|(other, vtep)| Self::peer(&format!("h{}", other + 1), *vtep, ASN, "")).collect()
        });
        Self { asns: vec![ASN; vteps.len()], documents: documents.collect(), any_as: false }
    }

    /// All in one AS, each with a route reflector that is no host of the cloud; `more` are further fields of the peer.
    #[must_use]
    pub fn clients(vteps: &[Vtep], reflector: Vtep, more: &str) -> Self {
        let document = Self::peer("rr", reflector, ASN, more);
        Self { asns: vec![ASN; vteps.len()], documents: vec![vec![document]; vteps.len()], any_as: false }
    }

    /// A peer as a document; `more` are further fields, each behind a comma.
    #[must_use]
    pub fn peer(name: &str, address: Vtep, asn: u32, more: &str) -> String {
        format!(r#"{{"kind":"peer","name":"{name}","address":"{address}","asn":{asn}{more}}}"#)
    }
}

fn host_prefix(vtep: Vtep) -> ipnet::IpNet {
    ipnet::IpNet::from(vtep.address())
}
