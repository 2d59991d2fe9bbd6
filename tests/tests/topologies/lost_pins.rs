//! Somebody removes the pins of a dead weftd: its programs leave the pod's device, and what the pod sends must still not
//! reach the host's stack, nor the underlay through the host's forwarding.
//!
//! ```text
//! red-1 ─ veth ─ h1 (ip_forward = 1, UDP socket) ─────── h2
//! ```

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use weft_dataplane_abi::{DropReason, programs};
use weft_tests::cloud::{Cloud, Intent, POD_DEVICE};
use weft_tests::frame::{self, Between};
use weft_tests::{Capture, Lab, PATIENCE, Wire, underlay, wait_until};
use weft_vxlan::MacAddr;

const PORT: u16 = 9999;
const ROUNDS: u64 = 20;
/// How long a datagram could take from the pod's device to a socket of the same machine.
const ARRIVAL: Duration = Duration::from_millis(300);

/// In: frames to every station, with the host's and the other host's address inside, once the pins are gone. Out: the
/// device sees them; the host's socket and the cable do not; after weftd has started again, the pod talks again, and the
/// frames are counted.
#[test]
fn fail_closed() -> Result<()> {
    Lab::test(|lab| {
        let mut cloud = Cloud::start(lab, underlay::two_hosts(lab, Wire::default())?)?;
        let intent = Intent::default()
            .network("red", 100)?
            .subnet("red-a", "red", 101, "10.0.0.0/24", "fd00::/64")?
            .pod("red-1", "red-a", 0, 11)?
            .pod("red-2", "red-a", 1, 12)?;
        cloud.deploy(&intent)?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        let veth = cloud.daemon(0).weft().status()?.ports[0].device.clone().context("red-1 has no device")?;
        let by_links = cloud.daemon(0).weft().status()?.hook == "tcx";
        cloud.daemon_mut(0).kill()?;
        for pin in fs::read_dir(cloud.daemon(0).settings().pin_folder.join("links"))? {
            let pin = pin?;
            if pin.file_name().to_string_lossy().starts_with(programs::FROM_POD) {
                fs::remove_file(pin.path())?;
            }
        }

        let host = &cloud.machine(0).namespace;
        let (ours, theirs) = (cloud.machine(0).vtep.address(), cloud.machine(1).vtep.address());
        let socket = host.run(|| UdpSocket::bind(("0.0.0.0", PORT)))??;
        socket.set_read_timeout(Some(ARRIVAL))?;
        let pod = cloud.pod("red-1");
        let source = IpAddr::from(pod.v4);
        let seen = Capture::start(host, &veth, move |packet| packet.has_address(source))?;
        let cable = Capture::start(host, cloud.daemon(0).settings().device.as_str(), move |packet| {
            packet.ip.as_ref().is_some_and(|ip| ip.source == source)
        })?;
        for _ in 0..ROUNDS {
            for destination in [ours, theirs] {
                let between =
                    Between { source_mac: pod.mac, destination_mac: MacAddr::BROADCAST, source, destination };
                pod.namespace.inject(POD_DEVICE, &frame::udp(between, (PORT, PORT), b"leak")?)?;
            }
        }
        wait_until(PATIENCE, "the frames at the host's end", || seen.count() >= 2 * ROUNDS)?;
        ensure!(socket.recv(&mut [0; 16]).is_err(), "a frame of the pod reached a socket of the host");
        cable.assert_none("packets of the pod, as they are, on the cable")?;

        cloud.daemon_mut(0).start()?;
        cloud.wait_until_up()?;
        cloud.pod("red-1").pings(cloud.pod("red-2"))?;
        let dropped = cloud.daemon(0).weft().drops(DropReason::ProgramMissing)?;
        // A filter of a clsact needs no pin: the program itself has dropped them.
        ensure!(dropped >= 2 * ROUNDS || !by_links, "only {dropped} of {} were counted", 2 * ROUNDS);
        Ok(())
    })
}
