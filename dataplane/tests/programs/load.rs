//! Whether the kernel takes the programs, each by itself: where one is refused, the others are tried all the same.

use aya::programs::{ProgramError, SchedClassifier, Xdp};
use weft_dataplane_abi::programs;

use crate::world::OBJECT;

/// The end of the verifier's words that is shown: what it objects to.
const LAST_WORDS: usize = 25;

#[test]
fn the_kernel_takes_every_program() {
    if !nix::unistd::geteuid().is_root() && std::env::var_os("CI").is_none() {
        println!("skipped, because loading programs needs root");
        return;
    }
    let mut ebpf = aya::Ebpf::load(OBJECT).unwrap();
    let mut refused = Vec::new();
    for name in programs::ALL.into_iter().chain([programs::GUARD, programs::JUDGE]) {
        let program: &mut SchedClassifier = ebpf.program_mut(name).unwrap().try_into().unwrap();
        refused.extend(program.load().err().map(|error| told(name, &error)));
    }
    for name in programs::XDP {
        let program: &mut Xdp = ebpf.program_mut(name).unwrap().try_into().unwrap();
        refused.extend(program.load().err().map(|error| told(name, &error)));
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn told(name: &str, error: &ProgramError) -> String {
    let words = if let ProgramError::LoadError { io_error, verifier_log } = error {
        format!("{verifier_log}\n{io_error}")
    } else {
        format!("{error:?}")
    };
    let lines: Vec<&str> = words.lines().collect();
    format!("{name} is refused:\n{}", lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n"))
}
