//! BPF filters of a device's clsact: where other people's programs are on kernels without tcx.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
};
use nix::errno::Errno;

use crate::Namespace;
use crate::foreign::Hook;

/// `ETH_P_ALL` in wire order, at a priority that the kernel gives.
const ALL_PROTOCOLS: u32 = u16::to_be(3) as u32;

impl Namespace {
    /// Ids of the programs of the device's BPF filters, in the order in which they run.
    pub(crate) fn bpf_filters(&self, device: &str, hook: Hook) -> Result<Vec<u32>> {
        let mut message = TcMessage::with_index(self.link(device)?.index.cast_signed());
        message.header.parent = parent(hook);
        let answers = self.netlink().dump(RouteNetlinkMessage::GetTrafficFilter(message))?;
        Ok(answers.iter().filter_map(program).collect())
    }

    /// Adds a filter, in front of those that were added so before, and the clsact that it needs.
    pub(crate) fn add_bpf_filter(&self, device: &str, hook: Hook, program: BorrowedFd<'_>) -> Result<()> {
        let index = self.link(device)?.index.cast_signed();
        let mut clsact = TcMessage::with_index(index);
        clsact.header.parent = TcHandle::CLSACT;
        clsact.header.handle = TcHandle { major: u16::MAX, minor: 0 };
        clsact.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
        match self.netlink().create(RouteNetlinkMessage::NewQueueDiscipline(clsact)) {
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {}
            made => made.with_context(|| format!("a clsact on {device} in {}", self.name()))?,
        }
        let mut filter = TcMessage::with_index(index);
        filter.header.parent = parent(hook);
        filter.header.info = ALL_PROTOCOLS;
        filter.attributes = vec![
            TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
            TcAttribute::Options(vec![
                TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().cast_unsigned())),
                TcOption::Bpf(TcFilterBpfOption::ProgName("foreign".to_owned())),
                TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
            ]),
        ];
        self.netlink()
            .create(RouteNetlinkMessage::NewTrafficFilter(filter))
            .with_context(|| format!("a filter on {device} in {}", self.name()))
    }
}

fn parent(hook: Hook) -> TcHandle {
    let minor = match hook {
        Hook::Ingress => TcHandle::MIN_INGRESS,
        Hook::Egress => TcHandle::MIN_EGRESS,
    };
    TcHandle { major: u16::MAX, minor }
}

fn program(message: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = message else { return None };
    let options = message.attributes.iter().filter_map(|attribute| {
        if let TcAttribute::Options(options) = attribute { Some(options) } else { None }
    });
    options.flatten().find_map(|option| {
        if let TcOption::Bpf(TcFilterBpfOption::ProgId(id)) = option { Some(*id) } else { None }
    })
}
