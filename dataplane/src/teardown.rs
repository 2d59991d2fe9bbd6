//! Teardown: removes what weft made in this network namespace and its pins, and nothing else.
//!
//! Devices go first, while their programs still guard them, then the programs on foreign devices, the next hops,
//! and last the maps, the ABI at the very end, and whose they were: whatever interrupts it, it can be done again.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use weft_dataplane_abi::maps;

use crate::apply::Hands;
use crate::bpf::{Attachment, PinFolder};
use crate::change::Change;
use crate::error::{OpenError, chain};
use crate::names::{self, Owned, PROTOCOL};
use crate::netlink::{Netlink, NetlinkError};
use crate::tenure::Tenure;
use crate::underlay_routes;
use crate::{Failure, Hook, Report};

/// As [`Dataplane::teardown`](crate::Dataplane::teardown), for the pin folder `root`.
pub(crate) fn teardown(root: &Path) -> Result<Vec<String>, Vec<Failure>> {
    let refused = |error: OpenError| vec![Failure::new("teardown".to_owned(), error.to_string())];
    let tenure = Tenure::take().map_err(refused)?;
    let folder = PinFolder::lock(root).map_err(refused)?;
    if let Some(folder) = &folder {
        folder.check_namespace(tenure.namespace()).map_err(refused)?;
    }
    let mut report = Report::default();
    if let Err(error) = devices(&mut report) {
        report.failures.push(Failure::new("devices".to_owned(), chain(&error)));
    }
    let mut removed: Vec<String> = report.changes.iter().map(ToString::to_string).collect();
    match Netlink::open().and_then(|mut netlink| underlay_routes::teardown(&mut netlink)) {
        Ok((routes, mut failures)) => {
            removed.extend(routes);
            report.failures.append(&mut failures);
        }
        Err(error) => report.failures.push(Failure::new("routes".to_owned(), chain(&error))),
    }
    // A device that could not be removed keeps the program that guards it.
    if let Some(folder) = folder.filter(|_| report.failures.is_empty()) {
        pins(&folder, &mut removed, &mut report.failures);
    }
    if report.failures.is_empty() { Ok(removed) } else { Err(report.failures) }
}

fn devices(report: &mut Report) -> Result<(), NetlinkError> {
    let mut netlink = Netlink::open()?;
    let mut changes = Vec::new();
    for link in &netlink.links()? {
        let port = match names::owned(link) {
            Some(Owned::Port(port)) => Some(port.to_owned()),
            Some(Owned::Vxlan | Owned::Headroom | Owned::Unfinished) => None,
            None => continue,
        };
        changes.push(Change::RemoveDevice { device: link.name.clone(), ifindex: link.index, port });
    }
    let ours = netlink.neighbours()?.into_iter().filter(|neighbour| neighbour.protocol == PROTOCOL);
    changes.extend(
        ours.map(|neighbour| Change::RemoveNeighbour {
            address: neighbour.address,
            ifindex: neighbour.ifindex,
        }),
    );
    let mut hands = Hands::new(&mut netlink, None);
    for change in changes {
        let done = hands.apply(&change);
        report.record(change, done);
    }
    Ok(())
}

fn pins(folder: &PinFolder, removed: &mut Vec<String>, failures: &mut Vec<Failure>) {
    match folder.attachments() {
        Ok(links) => {
            for link in links {
                let Attachment { program, ifindex, .. } = link;
                let path = folder.link(program, ifindex);
                let what = match link.hook {
                    Hook::Tcx => format!("remove {}", path.display()),
                    Hook::Clsact => format!("remove program {program} from the device with index {ifindex}"),
                };
                match folder.detach(program, ifindex) {
                    Ok(()) => removed.push(what),
                    Err(error) => failures.push(Failure::new(what, error.to_string())),
                }
            }
        }
        Err(error) => {
            failures.push(Failure::new(folder.root().display().to_string(), error.to_string()));
            return;
        }
    }
    let mut remove = |path: &Path, remove: fn(&Path) -> io::Result<()>| match remove(path) {
        Ok(()) => removed.push(format!("remove {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => failures.push(Failure::new(path.display().to_string(), error.to_string())),
    };
    let others: BTreeSet<_> = maps::ALL.into_iter().filter(|name| *name != maps::ABI).collect();
    for name in others.into_iter().chain([maps::ABI]) {
        remove(&folder.map(name), |path| fs::remove_file(path));
    }
    for name in maps::ALL {
        remove(&folder.staging().join(name), |path| fs::remove_file(path));
    }
    for mark in folder.marks() {
        remove(&mark, |path| fs::remove_dir(path));
    }
    let marked = [folder.owner(), folder.namespace()];
    for path in [folder.links(), folder.clsacts(), folder.staging(), folder.maps()]
        .into_iter()
        .chain(marked)
        .chain([folder.root().to_owned()])
    {
        remove(&path, remove_if_empty);
    }
}

/// Removes a folder, unless there is something foreign in it.
fn remove_if_empty(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            Err(io::Error::other("not removed, because there is something in it that weft did not make"))
        }
        other => other,
    }
}
