//! Switches offloads of a device by the ethtool ioctl: the usual ones together, or each by the kernel's name.

use std::mem::zeroed;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};

use crate::Namespace;

/// Who cuts large packets of a sender: the device (on veth: nobody, a super-packet travels whole) or the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offloads {
    /// As the kernel made the device: TSO, GSO, checksum offload.
    On,
    /// None: every packet on the wire is of at most MTU size and has its checksum filled in.
    Off,
}

/// `ETHTOOL_GTXCSUM` of `linux/ethtool.h`, which the libc crate has not.
const GET_TX_CHECKSUMS: u32 = 0x16;

/// `ETHTOOL_STXCSUM`, `ETHTOOL_STSO`, `ETHTOOL_SGSO` of `linux/ethtool.h`, which the libc crate has not.
const SWITCHES: [(u32, &str); 3] = [(0x17, "tx-checksum"), (0x1f, "TSO"), (0x24, "GSO")];

/// `ETHTOOL_GSSET_INFO`, `ETHTOOL_GSTRINGS` and `ETHTOOL_SFEATURES`, and the set of strings that are features' names.
const GET_SET_INFO: u32 = 0x37;
const GET_STRINGS: u32 = 0x1b;
const SET_FEATURES: u32 = 0x3b;
const FEATURES: u32 = 4;
/// Words of a name (`ETH_GSTRING_LEN`).
const NAME_WORDS: usize = 8;
/// Bit of the answer to `ETHTOOL_SFEATURES`: a feature that the device cannot change was to be changed.
const UNSUPPORTED: libc::c_int = 1;

impl Namespace {
    /// Switches transmit offloads of a device. Checksums come first: without theirs the kernel lets no other be on.
    ///
    /// # Errors
    /// The device is missing or has no such switch.
    pub fn set_offloads(&self, device: &str, offloads: Offloads) -> Result<()> {
        for (command, name) in SWITCHES {
            let on = u32::from(offloads == Offloads::On);
            self.run(|| ask(device, &mut [command, on]))?
                .with_context(|| format!("switching {name} of {device} in {}", self.name()))?;
        }
        Ok(())
    }

    /// Whether a device takes packets whose checksum is still to be computed.
    ///
    /// # Errors
    /// The device is missing.
    pub fn takes_checksums(&self, device: &str) -> Result<bool> {
        let mut value = [GET_TX_CHECKSUMS, 0];
        self.run(|| ask(device, &mut value).map(|_| value[1] != 0))?
            .with_context(|| format!("asking {device} in {}", self.name()))
    }

    /// Switches those features of a device for which `wanted` has an answer, by their names (`ethtool -k`). One that
    /// depends on another is on as soon as both are wanted. How many they are.
    ///
    /// # Errors
    /// The device is missing, or cannot switch one of them.
    pub fn set_features(&self, device: &str, wanted: impl Fn(&str) -> Option<bool> + Sync) -> Result<u32> {
        self.run(|| {
            let names = feature_names(device).context("the names of features")?;
            let blocks = names.len().div_ceil(32);
            // For each 32 features a word that says which to set, and one that says how.
            let mut request = vec![SET_FEATURES, u32::try_from(blocks)?];
            request.resize(2 + 2 * blocks, 0);
            for (number, name) in names.iter().enumerate() {
                let Some(on) = wanted(name) else { continue };
                let (block, bit) = (2 + number / 32 * 2, number % 32);
                request[block] |= 1 << bit;
                request[block + 1] |= u32::from(on) << bit;
            }
            let answer = ask(device, &mut request)?;
            ensure!(answer & UNSUPPORTED == 0, "the device cannot switch one of those wanted");
            Ok(request[2..].iter().step_by(2).map(|valid| valid.count_ones()).sum())
        })?
        .with_context(|| format!("switching features of {device} in {}", self.name()))
    }
}

/// The names of all features, in the order of their bits.
fn feature_names(device: &str) -> Result<Vec<String>> {
    // Reserved, a mask of 64 bits with the set, and its size.
    let mut info = [GET_SET_INFO, 0, 1 << FEATURES, 0, 0];
    ask(device, &mut info)?;
    let count = usize::try_from(info[4])?;
    let mut strings = vec![GET_STRINGS, FEATURES, info[4]];
    strings.resize(3 + count * NAME_WORDS, 0);
    ask(device, &mut strings)?;
    let names = strings[3..].chunks(NAME_WORDS).map(|words| {
        let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    });
    Ok(names.collect())
}

/// One ethtool command, which stands in front of what it reads and writes; the kernel's answer.
fn ask(device: &str, words: &mut [u32]) -> Result<libc::c_int> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    // SAFETY: ifreq is a C struct of integers and byte arrays, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // The last byte stays zero, as the kernel wants the name to end.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the callers made `words` as long as their commands read and write, and both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    Ok(nix::errno::Errno::result(result)?)
}
