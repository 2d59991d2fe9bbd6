//! An UPDATE from bytes, with the reaction of RFC 7606 sections 3 to 7 to each thing that can be wrong with it.

use weft_vxlan::MacAddr;

use super::super::attribute::{EXTENDED, PARTIAL, TwoOctet, decode_value};
use super::super::error::MultiprotocolProblem;
use super::super::reader::Reader;
use super::super::routes::Refused;
use super::super::{
    AttributeCode, AttributeError, AttributeProblem, Attributes, Dialect, EvpnRoute, ExtendedCommunityValue,
    Family, Fault, NextHop, Nlri, Routes, Treatment, UnknownAttribute, UpdateError,
};
use super::{Reachable, Update};

/// Reads the body.
///
/// # Errors
/// [`UpdateError`] if the session must end. What it survives comes beside the message, which is then treated
/// accordingly.
pub(in crate::wire) fn decode(body: &[u8], dialect: &Dialect) -> Result<(Update, Vec<Fault>), UpdateError> {
    let mut reader = Reader::new(body);
    let withdrawn = reader.counted_u16().ok_or(UpdateError::Lengths)?;
    let attributes = reader.counted_u16().ok_or(UpdateError::Lengths)?;
    let mut walk = Walk::new(dialect);
    walk.update.withdrawn = ipv4(withdrawn, dialect)?;
    walk.update.announced = ipv4(reader.rest(), dialect)?;
    walk.attributes(Reader::new(attributes))?;
    walk.finish(!attributes.is_empty())
}

/// The IPv4 routes outside of the multiprotocol attributes.
fn ipv4(bytes: &[u8], dialect: &Dialect) -> Result<Vec<Nlri<ipnet::Ipv4Net>>, UpdateError> {
    let mut routes = Routes::Ipv4(Vec::new());
    routes.decode(bytes, dialect.receive_path_ids).map_err(UpdateError::Network)?;
    if let Routes::Ipv4(routes) = routes { Ok(routes) } else { Ok(Vec::new()) }
}

/// One attribute of the row.
struct Raw<'a> {
    flags: u8,
    code: AttributeCode,
    value: &'a [u8],
    /// Header and value.
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// `None` if it crosses the end.
    fn next(reader: &mut Reader<'a>) -> Option<Self> {
        let bytes = reader.rest();
        let [flags, code] = reader.array()?;
        let value = if flags & EXTENDED == 0 { reader.counted_u8() } else { reader.counted_u16() }?;
        let bytes = bytes.get(..bytes.len() - reader.remaining())?;
        Some(Self { flags, code: AttributeCode(code), value, bytes })
    }

    /// A multiprotocol attribute whose routes cannot be found.
    fn fatal(&self, problem: MultiprotocolProblem) -> UpdateError {
        UpdateError::Multiprotocol { code: self.code, problem, bytes: self.bytes.to_vec() }
    }
}

/// What the walk over the attributes collects.
struct Walk<'a> {
    dialect: &'a Dialect,
    update: Update,
    two_octet: TwoOctet,
    faults: Vec<Fault>,
    /// By code: 1 seen, 2 seen again and reported.
    seen: [u8; 256],
}

impl<'a> Walk<'a> {
    fn new(dialect: &'a Dialect) -> Self {
        let (update, two_octet) = (Update::default(), TwoOctet::default());
        Self { dialect, update, two_octet, faults: Vec::new(), seen: [0; 256] }
    }

    fn fault(&mut self, code: AttributeCode, problem: AttributeProblem) {
        self.faults.push(AttributeError { code, problem }.into());
    }

    fn attributes(&mut self, mut reader: Reader<'_>) -> Result<(), UpdateError> {
        while !reader.is_empty() {
            let Some(raw) = Raw::next(&mut reader) else {
                self.faults.push(Fault::Overrun);
                break;
            };
            if self.is_first(raw.code)? {
                self.attribute(&raw)?;
            }
        }
        std::mem::take(&mut self.two_octet).merge_into(&mut self.update.attributes);
        self.update.attributes.unknown.sort_by_key(|attribute| attribute.code);
        Ok(())
    }

    /// All but the first of a code are dropped; of a multiprotocol attribute there must be one (RFC 7606
    /// section 3 g).
    fn is_first(&mut self, code: AttributeCode) -> Result<bool, UpdateError> {
        let seen = &mut self.seen[usize::from(code.0)];
        *seen = seen.saturating_add(1).min(3);
        match (*seen, code) {
            (1, _) => Ok(true),
            (_, AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI) => {
                Err(UpdateError::Twice(code))
            }
            (2, _) => {
                self.fault(code, AttributeProblem::Twice);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn attribute(&mut self, raw: &Raw<'_>) -> Result<(), UpdateError> {
        const KIND: u8 = 0xc0;
        // It is for the IPv4 routes outside of MP_REACH_NLRI; without them it is ignored (RFC 4760 section 3).
        if raw.code == AttributeCode::NEXT_HOP && self.update.announced.is_empty() {
            return Ok(());
        }
        match (raw.code.expected_flags(), raw.flags & KIND) {
            (Some(expected), flags) if expected == flags => {}
            (Some(_), _) if self.is_multiprotocol(raw.code) => {
                return Err(raw.fatal(MultiprotocolProblem::Flags(raw.flags)));
            }
            (Some(_), _) => {
                self.fault(raw.code, AttributeProblem::Flags(raw.flags));
                return Ok(());
            }
            (None, KIND) => {
                let value = raw.value.to_vec();
                self.update.attributes.unknown.push(UnknownAttribute { code: raw.code, value });
                return Ok(());
            }
            // Optional and not transitive: ends here, quietly (RFC 4271 section 5).
            (None, 0x80) => return Ok(()),
            (None, _) => return Err(UpdateError::UnknownWellKnown(raw.bytes.to_vec())),
        }
        match raw.code {
            AttributeCode::MP_REACH_NLRI => return self.reachable(raw),
            AttributeCode::MP_UNREACH_NLRI => return self.unreachable(raw),
            _ => {}
        }
        let attributes = &mut self.update.attributes;
        match decode_value(raw.code, raw.value, self.dialect, attributes, &mut self.two_octet) {
            Ok(()) if raw.flags & PARTIAL != 0 => attributes.partial.set(raw.code),
            Ok(()) => {}
            Err(problem) => self.fault(raw.code, problem),
        }
        Ok(())
    }

    fn is_multiprotocol(&self, code: AttributeCode) -> bool {
        matches!(code, AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI)
    }

    fn reachable(&mut self, raw: &Raw<'_>) -> Result<(), UpdateError> {
        let short = || raw.fatal(MultiprotocolProblem::Short);
        let mut reader = Reader::new(raw.value);
        let family = Family::from_bytes(reader.array().ok_or_else(short)?);
        let next_hop = reader.counted_u8().ok_or_else(short)?;
        // The reserved byte is ignored on receipt (RFC 4760 section 3).
        reader.u8().ok_or_else(short)?;
        let Some(mut routes) = Routes::empty(family) else {
            self.fault(raw.code, AttributeProblem::Family(family));
            return Ok(());
        };
        let address = NextHop::decode(family, next_hop, self.dialect.extended_next_hop);
        let Some(next_hop) = address else {
            let len = raw.value[3];
            return Err(raw.fatal(MultiprotocolProblem::NextHopLength { family, len }));
        };
        if let Err(error) = next_hop.check() {
            self.fault(raw.code, error.into());
        }
        let withdrawn = self.routes(raw, &mut routes, reader.rest())?;
        if !withdrawn.is_empty() {
            self.update.unreachable.push(Routes::Evpn(withdrawn));
        }
        self.update.reachable = Some(Reachable { next_hop, routes });
        Ok(())
    }

    fn unreachable(&mut self, raw: &Raw<'_>) -> Result<(), UpdateError> {
        let mut reader = Reader::new(raw.value);
        let family = reader.array().ok_or_else(|| raw.fatal(MultiprotocolProblem::Short))?;
        let family = Family::from_bytes(family);
        let Some(mut routes) = Routes::empty(family) else {
            self.fault(raw.code, AttributeProblem::Family(family));
            return Ok(());
        };
        let withdrawn = self.routes(raw, &mut routes, reader.rest())?;
        if let Routes::Evpn(routes) = &mut routes {
            routes.extend(withdrawn);
        }
        self.update.unreachable.push(routes);
        Ok(())
    }

    /// Fills `routes`, and returns the keys of those that could not be read.
    fn routes(
        &mut self,
        raw: &Raw<'_>,
        routes: &mut Routes,
        bytes: &[u8],
    ) -> Result<Vec<Nlri<EvpnRoute>>, UpdateError> {
        let refused = routes.decode(bytes, self.dialect.receive_path_ids);
        let refused = refused.map_err(|error| raw.fatal(MultiprotocolProblem::Routes(error)))?;
        let mut keys = Vec::new();
        for Refused { fault, key } in refused {
            self.faults.push(fault);
            keys.extend(key);
        }
        Ok(keys)
    }

    /// Looks for what is missing, then does to the message what its worst fault wants.
    fn finish(mut self, any_attributes: bool) -> Result<(Update, Vec<Fault>), UpdateError> {
        self.refuse();
        let announced = !self.update.announced.is_empty();
        if announced || self.update.reachable.is_some() {
            self.missing();
        }
        let found = announced || self.seen[usize::from(AttributeCode::MP_REACH_NLRI.0)] != 0;
        let worst = self.faults.iter().find(|fault| fault.treatment() == Treatment::TreatAsWithdraw);
        match worst {
            // There are attributes, so there should be routes; that none are found may be the fault's doing
            // (RFC 7606 section 5.2).
            Some(fault) if !found && any_attributes => Err(UpdateError::NoRoutes(fault.clone())),
            Some(_) => Ok((treat_as_withdraw(self.update), self.faults)),
            None => Ok((self.update, self.faults)),
        }
    }

    /// Withdraws what can be read and must not be announced, once all attributes are known.
    fn refuse(&mut self) {
        let Update { attributes, reachable, unreachable, .. } = &mut self.update;
        let Some(Reachable { routes: Routes::Evpn(routes), .. }) = reachable else { return };
        // The first one counts (RFC 9135 section 8.1).
        let router_mac = attributes.extended_communities.iter().find_map(|community| {
            if let ExtendedCommunityValue::RouterMac(mac) = community.value() { Some(mac) } else { None }
        });
        let refused = take_refused(routes, router_mac, &mut self.faults);
        if !refused.is_empty() {
            unreachable.push(Routes::Evpn(refused));
        }
    }

    /// RFC 7606 section 3 d, RFC 4271 section 5.
    fn missing(&mut self) {
        let internal = self.dialect.internal;
        let Update { announced, .. } = &self.update;
        let wanted = [
            (AttributeCode::ORIGIN, true),
            (AttributeCode::AS_PATH, true),
            (AttributeCode::NEXT_HOP, !announced.is_empty()),
            (AttributeCode::LOCAL_PREF, internal),
        ];
        for (code, wanted) in wanted {
            if wanted && self.seen[usize::from(code.0)] == 0 {
                self.fault(code, AttributeProblem::Missing);
            }
        }
    }
}

/// Takes out the routes that can be read and must not be announced.
fn take_refused(
    routes: &mut Vec<Nlri<EvpnRoute>>,
    router_mac: Option<MacAddr>,
    faults: &mut Vec<Fault>,
) -> Vec<Nlri<EvpnRoute>> {
    let refused = routes.extract_if(.., |nlri| {
        let EvpnRoute::IpPrefix(route) = &nlri.route else { return false };
        let checked = route.check_announced(router_mac);
        faults.extend(checked.err().map(Fault::Route));
        checked.is_err()
    });
    refused.collect()
}

/// The message as if all of its routes had been withdrawn (RFC 7606 section 2).
fn treat_as_withdraw(update: Update) -> Update {
    let Update { mut withdrawn, mut unreachable, reachable, announced, .. } = update;
    withdrawn.extend(announced);
    unreachable.extend(reachable.map(|reachable| reachable.routes));
    unreachable.retain(|routes| !routes.is_empty());
    Update {
        withdrawn,
        unreachable,
        attributes: Attributes::default(),
        reachable: None,
        announced: Vec::new(),
    }
}
