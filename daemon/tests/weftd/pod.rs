//! A workload's network namespace, without the workload.

use std::fs::File;
use std::os::fd::AsRawFd;
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

    /// A place in it.
    pub(crate) fn attachment(&self, device: &str) -> Attachment {
        let netns = format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd()).into();
        Attachment { netns, device: device.to_owned() }
    }
}
