//! What a machine has or has not, and set-up cannot change: root, and what the kernel can do. Each is judged here from
//! what `kernel` found out by trying.

use std::path::Path;
use std::{fmt, fs};

use nix::unistd::geteuid;

use super::kernel::{self, Trials};

/// Said to whoever is not root.
pub(crate) const ROOT: &str = "root: packages are installed, bpffs is mounted, and the tests make network namespaces; \
                               run as root, such as `sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask setup`";

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    name: &'static str,
    /// What was found.
    pub(crate) outcome: Outcome,
}

/// Whether a condition is met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is.
    Met,
    /// It is not; what is missing and what to do.
    Unmet(String),
    /// It was not tried, because an earlier one is not met.
    Unknown,
}

impl Condition {
    /// What to tell whoever wants to run weft here, unless all is well.
    pub(crate) fn complaint(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Met => None,
            Outcome::Unmet(complaint) => Some(complaint.clone()),
            // The complaint about the earlier one is enough.
            Outcome::Unknown => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Met => write!(f, "have     {}", self.name),
            Outcome::Unmet(complaint) => write!(f, "missing  {complaint}"),
            Outcome::Unknown => write!(f, "unknown  {}: not tried, for want of the above", self.name),
        }
    }
}

/// Finds out. Leaves nothing behind.
pub(crate) fn observe() -> Vec<Condition> {
    let root = geteuid().is_root();
    let trials = if root { kernel::try_all() } else { Trials::default() };
    let mut conditions = vec![
        condition("root", root, || ROOT.to_owned()),
        condition("kernel with BTF", Path::new("/sys/kernel/btf/vmlinux").exists(), || {
            "kernel with BTF: there is no /sys/kernel/btf/vmlinux; boot a kernel with CONFIG_DEBUG_INFO_BTF=y, such as \
             Debian's own"
                .to_owned()
        }),
        condition("BPF just-in-time compiler", jit_is_on(), || {
            "BPF just-in-time compiler: it is off; `sysctl -w net.core.bpf_jit_enable=1`".to_owned()
        }),
    ];
    conditions.extend(judge(&trials));
    conditions
}

fn condition(name: &'static str, met: bool, complaint: impl FnOnce() -> String) -> Condition {
    Condition { name, outcome: if met { Outcome::Met } else { Outcome::Unmet(complaint()) } }
}

/// Off only if the kernel says so: in a network namespace it says nothing.
fn jit_is_on() -> bool {
    fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").map_or(true, |said| said.trim() != "0")
}

/// What the kernel's answers mean, and what to do.
fn judge(trials: &Trials) -> Vec<Condition> {
    [
        (
            "loading BPF programs",
            trials.load,
            "a container needs CAP_SYS_ADMIN, CAP_NET_ADMIN, and a seccomp profile that allows bpf()",
        ),
        (
            "network namespaces",
            trials.namespace,
            "a container needs CAP_SYS_ADMIN; the kernel needs CONFIG_NET_NS",
        ),
        (
            "attaching programs",
            trials.hook,
            "it takes tcx (kernel 6.6) or clsact: `modprobe sch_ingress cls_bpf` on the host, or a kernel with \
             CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF",
        ),
        ("veth devices", trials.veth, "`modprobe veth` on the host, or a kernel with CONFIG_VETH"),
        ("vxlan devices", trials.vxlan, "`modprobe vxlan` on the host, or a kernel with CONFIG_VXLAN"),
        ("bridges", trials.bridge, "`modprobe bridge` on the host, or a kernel with CONFIG_BRIDGE"),
    ]
    .map(|(name, answer, remedy)| {
        let outcome = match answer {
            None => Outcome::Unknown,
            Some(Ok(())) => Outcome::Met,
            Some(Err(errno)) => {
                Outcome::Unmet(format!("{name}: the kernel says \"{}\"; {remedy}", errno.desc()))
            }
        };
        Condition { name, outcome }
    })
    .into()
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::kernel::Answer;
    use super::*;

    const YES: Answer = Some(Ok(()));
    const GOOD: Trials = Trials { load: YES, namespace: YES, hook: YES, veth: YES, vxlan: YES, bridge: YES };

    #[test]
    fn a_capable_kernel_gets_no_complaint() {
        assert!(judge(&GOOD).iter().all(|condition| condition.complaint().is_none()));
    }

    #[test]
    fn an_old_kernel_is_told_what_it_lacks_and_what_to_do() {
        let old = Trials { hook: Some(Err(Errno::ENOENT)), vxlan: Some(Err(Errno::EOPNOTSUPP)), ..GOOD };
        let complaints: Vec<String> = judge(&old).iter().filter_map(Condition::complaint).collect();
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].starts_with("attaching programs: "), "{complaints:?}");
        assert!(complaints[0].contains("modprobe sch_ingress"), "{complaints:?}");
        assert!(complaints[1].contains("modprobe vxlan"), "{complaints:?}");
    }

    #[test]
    fn what_was_not_tried_is_neither_there_nor_missing() {
        let conditions = judge(&Trials::default());
        assert!(conditions.iter().all(|condition| condition.outcome == Outcome::Unknown));
        assert!(conditions.iter().all(|condition| condition.to_string().contains("not tried")));
    }
}
