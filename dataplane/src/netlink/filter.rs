//! BPF filters of a device's clsact queueing discipline, which every kernel has: where tcx is missing, they are how
//! programs are attached.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
};

use super::{Netlink, NetlinkError};

const CLSACT: &str = "clsact";
/// Where the filters for received packets hang, and those for sent ones.
const INGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_INGRESS };
const EGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_EGRESS };
/// The one that a clsact has as a queueing discipline.
const CLSACT_HANDLE: TcHandle = TcHandle { major: u16::MAX, minor: 0 };
/// `ETH_P_ALL`.
const ALL_PROTOCOLS: u16 = 3;

/// A place on a device's ingress, which one filter holds. Filters of a lower priority run first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) ifindex: u32,
    pub(crate) priority: u16,
    pub(crate) handle: u32,
}

/// A BPF filter as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) slot: Slot,
    pub(crate) name: String,
    /// Id of its program.
    pub(crate) program: u32,
}

impl Netlink {
    /// The BPF filters on the ingress of a device, in the order of the kernel. None if the device has no clsact.
    pub(crate) fn bpf_filters(&mut self, ifindex: u32) -> Result<Vec<Filter>, NetlinkError> {
        let answers = self.filters(ifindex, INGRESS)?;
        Ok(answers.iter().filter_map(|message| bpf_filter(ifindex, message)).collect())
    }

    /// Whether nobody has a filter on the clsact of a device.
    pub(crate) fn has_no_filters(&mut self, ifindex: u32) -> Result<bool, NetlinkError> {
        Ok(self.filters(ifindex, INGRESS)?.is_empty() && self.filters(ifindex, EGRESS)?.is_empty())
    }

    /// Makes a filter whose program decides what becomes of a packet. The slot must be free.
    pub(crate) fn add_filter(
        &mut self,
        slot: Slot,
        name: &str,
        program: BorrowedFd<'_>,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewTrafficFilter(filter(slot, name, program));
        self.execute(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Puts a program in the place of the one that the filter in the slot has, so that each packet meets either.
    pub(crate) fn replace_filter(
        &mut self,
        slot: Slot,
        name: &str,
        program: BorrowedFd<'_>,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewTrafficFilter(filter(slot, name, program));
        self.execute(message, NLM_F_CREATE)
    }

    /// Removes the filter in the slot.
    pub(crate) fn delete_filter(&mut self, slot: Slot) -> Result<(), NetlinkError> {
        let mut message = header(slot);
        message.attributes = vec![TcAttribute::Kind(TcFilterBpf::KIND.to_owned())];
        self.execute(RouteNetlinkMessage::DelTrafficFilter(message), 0)
    }

    /// Gives a device a clsact. `false` if it has one, or the older `ingress`, whose filters are at the same place.
    pub(crate) fn add_clsact(&mut self, ifindex: u32) -> Result<bool, NetlinkError> {
        let message = RouteNetlinkMessage::NewQueueDiscipline(clsact(ifindex));
        match self.execute(message, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a device's clsact with all its filters.
    pub(crate) fn delete_clsact(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        self.execute(RouteNetlinkMessage::DelQueueDiscipline(clsact(ifindex)), 0)
    }

    fn filters(&mut self, ifindex: u32, parent: TcHandle) -> Result<Vec<TcMessage>, NetlinkError> {
        let mut message = TcMessage::with_index(ifindex.cast_signed());
        message.header.parent = parent;
        let answers = self.dump(&RouteNetlinkMessage::GetTrafficFilter(message))?;
        #[expect(clippy::wildcard_enum_match_arm, reason = "only filters were asked for")]
        let filters = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewTrafficFilter(message) => Some(message),
            _ => None,
        });
        Ok(filters.collect())
    }
}

fn clsact(ifindex: u32) -> TcMessage {
    let mut message = TcMessage::with_index(ifindex.cast_signed());
    message.header.parent = TcHandle::CLSACT;
    message.header.handle = CLSACT_HANDLE;
    message.attributes = vec![TcAttribute::Kind(CLSACT.to_owned())];
    message
}

fn header(slot: Slot) -> TcMessage {
    let mut message = TcMessage::with_index(slot.ifindex.cast_signed());
    message.header.parent = INGRESS;
    message.header.handle = slot.handle.into();
    message.header.info = u32::from(slot.priority) << 16 | u32::from(ALL_PROTOCOLS.to_be());
    message
}

fn filter(slot: Slot, name: &str, program: BorrowedFd<'_>) -> TcMessage {
    let mut message = header(slot);
    message.attributes = vec![
        TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
        TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().cast_unsigned())),
            TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]),
    ];
    message
}

/// What a message says of a BPF filter. The kernel also tells of each priority by itself, without a program.
fn bpf_filter(ifindex: u32, message: &TcMessage) -> Option<Filter> {
    let is_bpf =
        |attribute: &TcAttribute| matches!(attribute, TcAttribute::Kind(kind) if kind == TcFilterBpf::KIND);
    if !message.attributes.iter().any(is_bpf) {
        return None;
    }
    let (mut name, mut program) = (String::new(), None);
    for attribute in &message.attributes {
        let TcAttribute::Options(options) = attribute else { continue };
        for option in options {
            #[expect(clippy::wildcard_enum_match_arm, reason = "other attributes are of no use here")]
            match option {
                TcOption::Bpf(TcFilterBpfOption::ProgName(held)) => name.clone_from(held),
                TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => program = Some(*id),
                _ => {}
            }
        }
    }
    let priority = u16::try_from(message.header.info >> 16).unwrap_or_default();
    let slot = Slot { ifindex, priority, handle: message.header.handle.into() };
    Some(Filter { slot, name, program: program? })
}
