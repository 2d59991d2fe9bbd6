//! Packets that were once judged wrongly, one for each mistake, as bytes.

use weft_dataplane_abi::Place;

use super::cast::{RED_A, UNDERLAY};
use super::subject::Subject;
use super::{Mood, compare, tally};
use crate::reference::{self, Arrival, TunnelKey};
use crate::world::{VXLAN_IFINDEX, vtep};

struct Case {
    what: &'static str,
    place: Place,
    /// In hexadecimal.
    frame: &'static str,
    becomes: &'static str,
}

const CASES: &[Case] = &[
    Case {
        what: "a solicitation of another IP version",
        place: Place::Pod,
        frame: "3333ff00000c020a0000000b86dd4000000000203afffd00000a00000000000000000000000bff0200000000\
             000000000001ff00000c8700000000000000fd00000a00000000000000000000000c0101020a0000000b",
        becomes: "malformed",
    },
    Case {
        what: "a solicitation that says it is longer than its frame",
        place: Place::Pod,
        frame: "3333ff00000c020a0000000b86dd60000000ffff3afffd00000a00000000000000000000000bff0200000000\
             000000000001ff00000c8700000000000000fd00000a00000000000000000000000c0101020a0000000b",
        becomes: "malformed",
    },
    Case {
        what: "a solicitation that says it is shorter than one is",
        place: Place::Pod,
        frame: "3333ff00000c020a0000000b86dd6000000000083afffd00000a00000000000000000000000bff0200000000\
             000000000001ff00000c8700000000000000fd00000a00000000000000000000000c0101020a0000000b",
        becomes: "neighbour_noise",
    },
    Case {
        what: "another host's advertisement of another IP version",
        place: Place::Vxlan,
        frame: "020a0000000b020a0000001586dd4000000000203afffd00000a000000000000000000000015fd00000a0000\
             0000000000000000000b8800000000000000fd00000a0000000000000000000000150201020a00000015",
        becomes: "malformed",
    },
    Case {
        what: "another host's solicitation that is longer than its frame",
        place: Place::Vxlan,
        frame: "3333ff00000c020a0000001586dd6000000001003afffd00000a000000000000000000000015ff0200000000\
             000000000001ff00000c8700000000000000fd00000a00000000000000000000000c0101020a00000015",
        becomes: "malformed",
    },
    Case {
        what: "IPv4 options behind the end of the packet",
        place: Place::Pod,
        frame: "00005e000101020a0000000b08004f0000140000400040111bc20a00000b0a00010d00000000000000000000\
             0000000000000000000000000000000000000000000000000000000000000fa01388000c000077656674",
        becomes: "malformed",
    },
    Case {
        what: "the same from another host",
        place: Place::Underlay,
        frame: "00000000000002ee000000fe08004500007a000040004011b66fc0000202c0000201afc812b5006600000800\
             000000006500020a0000000b020a0000001508004f0000140000400040111cba0a0000150a00000b00000000\
             0000000000000000000000000000000000000000000000000000000000000000000000000fa01388000c0000\
             77656674",
        becomes: "malformed",
    },
    Case {
        what: "as many extension headers as are followed",
        place: Place::Pod,
        frame: "020a0000000c020a0000000b86dd60000000004c3c40fd00000a00000000000000000000000bfd00000a0000\
             0000000000000000000c3c000104000000003c000104000000003c000104000000003c000104000000003c00\
             0104000000003c000104000000003c0001040000000011000104000000000fa01388000c000077656674",
        becomes: "deliver",
    },
    Case {
        what: "a ping behind the end of its packet",
        place: Place::Pod,
        frame: "00005e000101020a0000000b08004500001400004000400126de0a00000b0a0000010800f7ff00000000",
        becomes: "malformed",
    },
    Case {
        what: "the same over IPv6",
        place: Place::Pod,
        frame: "00005e000101020a0000000b86dd6000000000043a40fd00000a00000000000000000000000bfd00000a0000\
             000000000000000000018000000000000000",
        becomes: "malformed",
    },
    Case {
        what: "out of hops, an error itself",
        place: Place::Underlay,
        frame: "00000000000002ee000000fe08004500004e000040004011b69bc0000202c0000201afc812b5003a00000800\
             0000001389000200c00002010200c000020208004500001c00004000010164c00a0001170a00000b0b00f4ff\
             00000000",
        becomes: "ttl_expired",
    },
    Case {
        what: "out of hops, from behind a VTEP that the way to is not known",
        place: Place::Underlay,
        frame: "00000000000002ee000000fe080045000052000040004011b692c0000207c0000201afc812b5003e00000800\
             0000001389000200c00002010200c000020708004500002000004000011165a80a00001b0a00000b0fa01388\
             000c000077656674",
        becomes: "ttl_expired",
    },
    Case {
        what: "out of hops, answered by the device that it came by",
        place: Place::Underlay,
        frame: "00000000000002ee000000fe080045000052000040004011b697c0000202c0000201afc812b5003e00000800\
             0000001389000200c00002010200c000020208004500002000004000011164ac0a0001170a00000b0fa01388\
             000c000077656674",
        becomes: "answer through the tunnel",
    },
];

/// ALICE's device.
const ALICE: u32 = 11;

/// In: each packet, from ALICE, from the wire, or as the kernel's vxlan device had it from VTEP 2. Out: what the table says,
/// by the reference and by the programs.
#[test]
fn packets_that_were_judged_wrongly() {
    // In a thread of its own, for its namespace.
    let ran = std::thread::spawn(|| {
        let Some([mut subject, _]) = Subject::both() else { return };
        subject.turn(Mood::of(3));
        let mut wrong = Vec::new();
        for Case { what, place, frame, becomes } in CASES {
            let ifindex = match place {
                Place::Vxlan => VXLAN_IFINDEX,
                Place::Pod | Place::Guard => ALICE,
                Place::Underlay | Place::XdpGuard | Place::XdpForward => UNDERLAY,
            };
            let key = TunnelKey { local: vtep(1).address(), remote: vtep(2).address(), vni: RED_A };
            let tunnel = (*place == Place::Vxlan).then_some(key);
            let arrival = Arrival { place: *place, ifindex, frame: bytes(frame), gso_size: 0, tunnel };
            let verdict = reference::judge(&subject.facts, &arrival);
            assert_eq!(tally::name(&arrival, &verdict), *becomes, "{what}");
            let difference = subject.difference(&arrival, &verdict);
            wrong.extend(difference.map(|told| format!("{what}: {told}\n{}", compare::described(&arrival))));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
    ran.join().unwrap();
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
