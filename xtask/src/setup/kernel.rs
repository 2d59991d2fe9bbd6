//! Finds out what the kernel can do by doing it: loads the smallest program and attaches it, and makes devices, in a
//! network namespace that vanishes with the thread that made it.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Yes, or why not; nothing if the question could not be asked.
pub(crate) type Answer = Option<Result<(), Errno>>;

/// What the kernel answered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trials {
    /// To the loading of a program.
    pub(crate) load: Answer,
    /// To the making of a network namespace.
    pub(crate) namespace: Answer,
    /// To the attaching of the program: by tcx, or where there is none, to the making of what it is a filter of.
    pub(crate) hook: Answer,
    /// To the making of a veth pair.
    pub(crate) veth: Answer,
    /// To the making of a vxlan device.
    pub(crate) vxlan: Answer,
    /// To the making of a bridge.
    pub(crate) bridge: Answer,
}

/// Tries everything.
pub(crate) fn try_all() -> Trials {
    // A thread of its own: it leaves the namespace of the others for good.
    thread::spawn(in_new_namespace).join().unwrap_or_default()
}

/// Without the namespace no device is made nor touched: that would happen in the machine's own.
fn in_new_namespace() -> Trials {
    let namespace = unshare(CloneFlags::CLONE_NEWNET);
    let program = load();
    let device = |kind, data: &[u8]| namespace.is_ok().then(|| make_device(kind, data));
    Trials {
        load: Some(program.as_ref().map(drop).map_err(|errno| *errno)),
        namespace: Some(namespace),
        hook: namespace.ok().and(program.ok()).map(|program| attach(&program).or_else(|_| make_clsact())),
        veth: device("veth", &[]),
        vxlan: device("vxlan", &attribute(IFLA_VXLAN_COLLECT_METADATA, &[1])),
        bridge: device("bridge", &[]),
    }
}

/// Loads a program that lets every packet go on.
fn load() -> Result<OwnedFd, Errno> {
    const BPF_PROG_LOAD: libc::c_long = 5;
    const BPF_PROG_TYPE_SCHED_CLS: u64 = 3;
    // r0 = TCX_NEXT (-1); exit
    let instructions: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
    let license = c"GPL";
    let attributes = [
        BPF_PROG_TYPE_SCHED_CLS | (instructions.len() as u64) << 32,
        instructions.as_ptr() as u64,
        license.as_ptr() as u64,
    ];
    bpf(BPF_PROG_LOAD, &attributes)
}

/// Attaches a program to the loopback device by tcx. The link goes with its descriptor.
fn attach(program: &OwnedFd) -> Result<(), Errno> {
    const BPF_LINK_CREATE: libc::c_long = 28;
    const BPF_TCX_INGRESS: u64 = 46;
    const LOOPBACK: u64 = 1;
    let program = u64::from(program.as_raw_fd().unsigned_abs());
    bpf(BPF_LINK_CREATE, &[program | LOOPBACK << 32, BPF_TCX_INGRESS]).map(drop)
}

/// The bpf system call, for commands that return a descriptor. `attributes` are the first fields of `union bpf_attr`,
/// two 32-bit fields or a 64-bit one each, as a little-endian machine lays them; the rest is zero.
fn bpf(command: libc::c_long, attributes: &[u64]) -> Result<OwnedFd, Errno> {
    let mut union = [0_u64; 16];
    union[..attributes.len()].copy_from_slice(attributes);
    // SAFETY: the kernel reads the union, whose size it is told, and what the fields point to, which the callers keep.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, union.as_ptr(), size_of_val(&union)) };
    let descriptor = RawFd::try_from(Errno::result(returned)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us, and no one else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
/// As weft's own vxlan device: it takes the VNI from each packet.
const IFLA_VXLAN_COLLECT_METADATA: u16 = 25;

/// Asks the kernel for a device of a kind.
fn make_device(kind: &str, data: &[u8]) -> Result<(), Errno> {
    ask(&new_link(kind, data))
}

/// Asks the kernel for a clsact on the loopback device.
fn make_clsact() -> Result<(), Errno> {
    const RTM_NEWQDISC: u16 = 36;
    const TCA_KIND: u16 = 1;
    // tcmsg: family and padding, index, handle ffff:, parent ffff:fff1, info
    let tcmsg = [0, 1, 0xffff_0000_u32, 0xffff_fff1, 0].map(u32::to_ne_bytes).concat();
    ask(&request(RTM_NEWQDISC, &[tcmsg, attribute(TCA_KIND, b"clsact\0")].concat()))
}

/// Asks by rtnetlink for something to be made.
fn ask(message: &[u8]) -> Result<(), Errno> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        Some(SockProtocol::NetlinkRoute),
    )?;
    send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    let mut answer = [0_u8; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    answered(&answer[..length])
}

/// An RTM_NEWLINK message: header, an empty `ifinfomsg`, name, and kind with its data.
fn new_link(kind: &str, data: &[u8]) -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const IFINFOMSG: usize = 16;
    let info = [attribute(IFLA_INFO_KIND, kind.as_bytes()), attribute(IFLA_INFO_DATA, data)].concat();
    // Of its own, because all trials share a namespace.
    let name = format!("try-{kind}\0");
    let body = [vec![0; IFINFOMSG], attribute(IFLA_IFNAME, name.as_bytes()), attribute(IFLA_LINKINFO, &info)]
        .concat();

    request(RTM_NEWLINK, &body)
}

/// A message that asks for something to be made that is not there.
fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    const REQUEST_ACK_EXCL_CREATE: u16 = 0x1 | 0x4 | 0x200 | 0x400;
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(u32::try_from(16 + body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(REQUEST_ACK_EXCL_CREATE.to_ne_bytes());
    // Sequence number and port: there is one question only, and one who asks.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// A netlink attribute: length, type, payload, padded to four bytes.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    let mut attribute = [&length.to_ne_bytes()[..], &kind.to_ne_bytes()[..], payload].concat();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// What an NLMSG_ERROR message says; zero is yes.
fn answered(message: &[u8]) -> Result<(), Errno> {
    let errno = message.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match errno {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw(-errno)),
        None => Err(Errno::EBADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        assert_eq!(attribute(1, b"veth"), [&8_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), b"veth"].concat());
        let padded = attribute(25, &[1]);
        assert_eq!((padded.len(), &padded[..2]), (8, &5_u16.to_ne_bytes()[..]));
    }

    #[test]
    fn a_message_says_its_own_length() {
        let message = new_link("vxlan", &attribute(IFLA_VXLAN_COLLECT_METADATA, &[1]));
        assert_eq!(message[..4], u32::try_from(message.len()).unwrap().to_ne_bytes());
    }

    #[test]
    fn the_kernels_answer_is_an_error_number() {
        let message = |errno: i32| [&[0; 16][..], &errno.to_ne_bytes()].concat();
        assert_eq!(answered(&message(0)), Ok(()));
        assert_eq!(answered(&message(-95)), Err(Errno::EOPNOTSUPP));
        assert_eq!(answered(&[]), Err(Errno::EBADMSG));
    }
}
