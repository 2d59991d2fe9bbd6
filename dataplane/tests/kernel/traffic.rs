//! Packets between two ports of a host.

use std::net::UdpSocket;
use std::time::Duration;

use weft_dataplane::Dataplane;

use crate::host::{Pod, desired, eventually, on_host, owner, port, reconcile};

/// A socket of the pod, bound to `address`.
pub async fn socket(pod: &Pod, address: &'static str) -> UdpSocket {
    pod.run(move |_| async move {
        let socket = UdpSocket::bind((address, 7000)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket
    })
    .await
}

/// Sends until it arrives: the first may be lost while addresses settle.
pub async fn arrives(from: &UdpSocket, to: &UdpSocket, address: &str, word: &[u8]) {
    eventually("the datagram to arrive", async || {
        from.send_to(word, (address, 7000)).unwrap();
        let mut buffer = [0; 64];
        let (length, _) = to.recv_from(&mut buffer).ok()?;
        (&buffer[..length] == word).then_some(())
    })
    .await;
}

#[test]
fn packets_flow_with_a_daemon_and_without_and_are_counted() {
    on_host("traffic", async |host| {
        let (first, second) = (Pod::new(), Pod::new());
        let mut desired = desired();
        desired.ports.insert("a".to_owned(), port(10, &first.path));
        desired.ports.insert("b".to_owned(), port(11, &second.path));
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        reconcile(&mut dataplane, &desired).await;
        let a4 = socket(&first, "10.0.0.10").await;
        let b4 = socket(&second, "10.0.0.11").await;
        let a6 = socket(&first, "2001:db8::a").await;
        let b6 = socket(&second, "2001:db8::b").await;
        arrives(&a4, &b4, "10.0.0.11", b"with a daemon").await;
        arrives(&b6, &a6, "2001:db8::a", b"with a daemon").await;
        let counters = dataplane.counters().unwrap();
        assert!(counters["a"].from_port.packets > 0 && counters["b"].to_port.packets > 0, "{counters:#?}");

        drop(dataplane);
        arrives(&a4, &b4, "10.0.0.11", b"without one").await;
        let mut dataplane = Dataplane::open(host.options.clone(), owner()).await.unwrap();
        arrives(&a4, &b4, "10.0.0.11", b"before it knows anything").await;
        assert_eq!(reconcile(&mut dataplane, &desired).await.changes, []);
        assert!(dataplane.counters().unwrap()["a"].from_port.packets >= counters["a"].from_port.packets);
    });
}
