//! Who may call: the credentials that the kernel tells of a real connection, by real users.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use weft_api::client::{Client, ClientError};

use crate::daemon::Daemon;

/// What a process of this user and group is answered.
fn ask_as(uid: u32, gid: u32, socket: &Path) -> Result<(), ClientError> {
    as_user(uid, gid, || Client::new(socket).status().map(|_| ()))
}

/// Does something as this user and group.
fn as_user<T: Send>(uid: u32, gid: u32, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // By the calls themselves: libc's functions would change every thread of the test.
            // SAFETY: they take numbers and an empty list, and change only this thread's credentials.
            unsafe {
                assert_eq!(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()), 0);
                assert_eq!(libc::syscall(libc::SYS_setresgid, gid, gid, gid), 0);
                assert_eq!(libc::syscall(libc::SYS_setresuid, uid, uid, uid), 0);
            }
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn strangers_are_told_why_they_may_not() {
    let Some(daemon) = Daemon::start_with("allow_uids = [4242]\nallow_gids = [4343]") else { return };
    let client = daemon.client();
    let socket = client.socket();
    ask_as(0, 0, socket).unwrap();
    ask_as(4242, 1, socket).unwrap();
    ask_as(1, 4343, socket).unwrap();
    for (uid, gid) in [(1, 1), (4343, 4242)] {
        let error = ask_as(uid, gid, socket).unwrap_err();
        let ClientError::Refused { status: 403, problems } = error else { panic!("{error:?}") };
        assert_eq!(problems[0].object, "caller");
        let words = format!("the caller (uid {uid}, gid {gid}) may not use weftd");
        assert!(problems[0].message.starts_with(&words), "{problems:?}");
        assert!(problems[0].message.contains("add it to api.allow_uids or api.allow_gids"), "{problems:?}");
    }
}

/// Where nobody is named, the socket's mode keeps strangers out before weftd is asked.
#[test]
fn by_default_only_root_gets_through_to_it() {
    let Some(daemon) = Daemon::start() else { return };
    let client = daemon.client();
    ask_as(0, 0, client.socket()).unwrap();
    let error = ask_as(4242, 4242, client.socket()).unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("only root"), "{error}");
}

/// Many, each with half a request.
#[test]
fn strangers_hold_no_connection() {
    let Some(daemon) = Daemon::start_with("allow_uids = [4242]") else { return };
    let client = daemon.client();
    let socket = client.socket();
    let held: Vec<UnixStream> = as_user(1, 1, || {
        let connect = |_| {
            let mut stream = UnixStream::connect(socket).ok()?;
            // Most are hung up on before they have said a word.
            let _ = stream.write_all(b"GET /v1/status HTTP/1.1\r\n");
            Some(stream)
        };
        (0..500).filter_map(connect).collect()
    });
    assert_eq!(held.len(), 500);
    ask_as(4242, 1, socket).unwrap();
    for mut stream in held {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        match stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("it is still open: {other:?}"),
        }
    }
}
