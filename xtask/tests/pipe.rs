//! `cargo xtask … | head`: a reader that goes away ends xtask without a word.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// SIGPIPE, which ends a process that writes where nobody reads.
const BROKEN_PIPE: i32 = 13;

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let ended = xtask
        .args(["setup", "--check"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("xtask");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.signal(), Some(BROKEN_PIPE), "{}: {said}", ended.status);
    assert!(said.is_empty(), "{said}");
}
