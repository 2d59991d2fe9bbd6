//! weft's programs on devices, whichever way they are attached.

use std::collections::BTreeMap;
use std::fs;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::{SchedClassifier, TcAttachType};
use futures_util::TryStreamExt;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption};
use rtnetlink::Handle;

use crate::host::{TestHost, links};

/// Ids of what holds them (a filter has no id: 0), and of the programs, by program and interface index.
pub async fn attached(host: &TestHost) -> BTreeMap<String, (u32, u32)> {
    // Where all are filters, there may be no such folder.
    let pins = fs::read_dir(host.options.pin_folder.join("links")).into_iter().flatten().map(Result::unwrap);
    let id = |pin: fs::DirEntry| {
        let info = FdLink::from(PinnedLink::from_pin(pin.path()).unwrap()).info().unwrap();
        (pin.file_name().into_string().unwrap(), (info.id(), info.program_id()))
    };
    let mut attached: BTreeMap<_, _> = pins.map(id).collect();
    for link in links(&host.netlink).await.into_values() {
        let index = link.header.index;
        let filters = filters(&host.netlink, index).await.into_iter();
        let ours =
            filters.filter(|filter| filter.handle == u32::from_be_bytes(*b"weft") && filter.name != "guard");
        attached.extend(ours.map(|filter| (format!("{}-{index}", filter.name), (0, filter.program))));
    }
    attached
}

/// Programs on the ingress of a device, by their ids, in the order in which they run.
pub async fn programs(netlink: &Handle, device: &str) -> Vec<u32> {
    // A kernel without tcx has none there.
    let tcx = SchedClassifier::query_tcx(device, TcAttachType::Ingress)
        .map_or(Vec::new(), |(_, programs)| programs);
    let index = crate::host::index(netlink, device).await.unwrap();
    let filters = filters(netlink, index).await;
    tcx.iter()
        .map(aya::programs::ProgramInfo::id)
        .chain(filters.iter().map(|filter| filter.program))
        .collect()
}

/// A BPF filter on a device's clsact.
pub struct Filter {
    pub handle: u32,
    pub priority: u16,
    pub name: String,
    pub program: u32,
}

/// The BPF filters on the ingress of a device, in the order in which they run.
pub async fn filters(netlink: &Handle, index: u32) -> Vec<Filter> {
    let index = i32::try_from(index).unwrap();
    let messages: Vec<TcMessage> =
        netlink.traffic_filter(index).get().ingress().execute().try_collect().await.unwrap();
    let mut filters: Vec<_> = messages.iter().filter_map(filter).collect();
    filters.sort_by_key(|filter| filter.priority);
    filters
}

fn filter(message: &TcMessage) -> Option<Filter> {
    let options = message.attributes.iter().filter_map(|attribute| {
        if let TcAttribute::Options(options) = attribute { Some(options) } else { None }
    });
    let (mut name, mut program) = (String::new(), None);
    for option in options.flatten() {
        #[expect(clippy::wildcard_enum_match_arm, reason = "other attributes are of no use here")]
        match option {
            TcOption::Bpf(TcFilterBpfOption::ProgName(held)) => name.clone_from(held),
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => program = Some(*id),
            _ => {}
        }
    }
    let priority = u16::try_from(message.header.info >> 16).unwrap();
    Some(Filter { handle: message.header.handle.into(), priority, name, program: program? })
}
