//! What a look-up of the next hop takes: the one that each packet of an established connection costs, because the next hop is
//! not in the connection's entry. By a program that does nothing else, on the maps of a host.

use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result, ensure};
use aya::maps::MapData;
use weft_dataplane_abi::{IpKey, MacKey, maps};
use weft_vxlan::Vni;
use zerocopy::IntoBytes as _;

use super::hosts::pin;
use super::nanoseconds;
use super::subjects::Secured;
use crate::plan::Plan;
use crate::programs::kernel::{self, Hook};
use crate::report::Row;
use crate::subject::SUBNET_VNI;

/// Runs in a row, of which the kernel tells the average.
const REPEAT: u32 = 100_000;
/// The network's VNI.
const NETWORK: u32 = 100;

/// Of the way to the far pod, by its address and by its MAC, beside a program without a look-up.
pub(super) fn measure(clouds: &[Secured<'_>], plan: &Plan) -> Result<Vec<Row>> {
    let cloud = &clouds.first().context("nobody takes part")?.cloud;
    let far = cloud.pod("far");
    let address = IpKey::new(Vni::new(NETWORK)?, far.v4.into());
    let mac = MacKey::new(Vni::new(SUBNET_VNI)?, far.mac);
    let hosts = program(&MapData::from_pin(pin(cloud, 0, maps::HOSTS))?, address.as_bytes())?;
    let stations = program(&MapData::from_pin(pin(cloud, 0, maps::FDB))?, mac.as_bytes())?;
    let empty = kernel::load_empty(Hook::Tc)?;
    let programs = [("address", &hosts, true), ("mac", &stations, true), ("no-look-up", &empty, false)];
    let mut figures = programs.map(|(name, ..)| (name, Vec::new()));
    for _ in 0..plan.rounds {
        for ((_, program, finds), (_, figures)) in programs.iter().zip(&mut figures) {
            let outcome = kernel::test_runs(Hook::Tc, program.as_fd(), &[0; 64], 0, REPEAT)?;
            ensure!((outcome.verdict == Hook::Tc.redirect()) == *finds, "the pod is not found");
            figures.push(f64::from(outcome.nanoseconds));
        }
    }
    Ok(nanoseconds("policy/next-hop-by", &figures))
}

/// A program that looks for `key` in a map, and answers that it would redirect if it is there.
fn program(map: &MapData, key: &[u8]) -> Result<std::os::fd::OwnedFd> {
    let (words, rest) = key.as_chunks::<4>();
    ensure!(rest.is_empty() && key.len() <= 512, "a key of {} bytes", key.len());
    let length = i16::try_from(key.len())?;
    let mut code = Vec::new();
    // *(u32 *)(r10 - length + 4 * n) = word
    for (word, offset) in words.iter().zip((-length..).step_by(4)) {
        code.push(instruction(0x62, 10, offset, i32::from_le_bytes(*word)));
    }
    code.extend([
        // r1 = map, in two
        instruction(0x18, 0x11, 0, map.fd().as_fd().as_raw_fd()),
        0,
        // r2 = r10 - length
        instruction(0xbf, 0xa2, 0, 0),
        instruction(0x07, 2, 0, (-length).into()),
        // r0 = bpf_map_lookup_elem(r1, r2)
        instruction(0x85, 0, 0, 1),
        // if r0 == 0, two further
        instruction(0x15, 0, 2, 0),
        instruction(0xb7, 0, 0, Hook::Tc.redirect().cast_signed()),
        instruction(0x95, 0, 0, 0),
        instruction(0xb7, 0, 0, Hook::Tc.pass().cast_signed()),
        instruction(0x95, 0, 0, 0),
    ]);
    kernel::load(Hook::Tc, &code).context("a program with a look-up")
}

/// As `struct bpf_insn` of `linux/bpf.h` lies in memory; `registers` are the source's and the destination's.
fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
    let [o0, o1] = offset.to_le_bytes();
    let [i0, i1, i2, i3] = immediate.to_le_bytes();
    u64::from_le_bytes([code, registers, o0, o1, i0, i1, i2, i3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_as_the_kernel_reads_them() {
        // r2 += -24, in hexadecimal as `bpftool prog dump xlated opcodes` shows it: 07 02 00 00 e8 ff ff ff
        assert_eq!(instruction(0x07, 2, 0, -24).to_le_bytes(), [7, 2, 0, 0, 0xe8, 0xff, 0xff, 0xff]);
    }
}
