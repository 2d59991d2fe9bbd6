//! A workload's network namespace, without the workload.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use weft_api::resource::Attachment;

/// A network namespace that lives as long as this.
pub(crate) struct Pod {
    namespace: File,
}

impl Pod {
    /// Makes one.
    pub(crate) fn new() -> Self {
        let thread = thread::spawn(|| {
            // SAFETY: takes no pointers, and changes only what this thread's system calls see.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self { namespace: thread.join().unwrap() }
    }

    /// The kernel's table of its devices, as text.
    pub(crate) fn devices(&self) -> String {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let descriptor = self.namespace.as_fd().as_raw_fd();
                // SAFETY: the descriptor is open, and only what this thread's system calls see is changed.
                assert_eq!(unsafe { libc::setns(descriptor, libc::CLONE_NEWNET) }, 0);
                std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()
            });
            inside.join().unwrap()
        })
    }

    /// A place in it.
    pub(crate) fn attachment(&self, device: &str) -> Attachment {
        let netns = format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into();
        Attachment { netns, device: device.to_owned() }
    }
}
