//! A workload's network namespace, without the workload.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::thread;

use futures_util::TryStreamExt;
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
        self.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap())
    }

    /// Takes an address from a device, as a careless hand would.
    pub(crate) fn remove_address(&self, device: &str, address: IpAddr) {
        self.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(remove_address(device, address));
        });
    }

    /// Works in it, on a thread that ends afterwards.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let descriptor = self.namespace.as_raw_fd();
                // SAFETY: the descriptor is open, and only what this thread's system calls see is changed.
                assert_eq!(unsafe { libc::setns(descriptor, libc::CLONE_NEWNET) }, 0);
                work()
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

async fn remove_address(device: &str, address: IpAddr) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    let link = handle.link().get().match_name(device).execute().try_next().await.unwrap().unwrap();
    let addresses = handle.address().get().set_link_index_filter(link.header.index);
    let found = addresses.set_address_filter(address).execute().try_next().await.unwrap().unwrap();
    handle.address().del(found).execute().await.unwrap();
}
