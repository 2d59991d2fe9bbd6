//! One connection: a task that reads, and one that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Kind, LINGER};
use crate::session::ConnectionId;

/// Bytes that are read at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// What the owner has of a connection. Dropped, it ends at once.
#[derive(Debug)]
pub(super) struct Connection {
    writer: Option<mpsc::UnboundedSender<Vec<u8>>>,
    queued: usize,
    /// Pieces that were read and have not been handled.
    waiting: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
}

impl Connection {
    pub(super) fn start(id: ConnectionId, stream: TcpStream, inputs: &mpsc::Sender<Kind>) -> Self {
        let (reading, writing) = stream.into_split();
        let (writer, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let reader = tokio::spawn(read(id, reading, Arc::clone(&waiting), inputs.clone()));
        let tasks = [reader, tokio::spawn(write(id, writing, queue, inputs.clone()))];
        Self { writer: Some(writer), queued: 0, waiting, tasks }
    }

    /// Whether something came that has not been handled.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A piece that came is handled.
    pub(super) fn handle_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes that the socket has not taken yet.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        if let (Some(writer), false) = (&self.writer, bytes.is_empty()) {
            self.queued += bytes.len();
            // A writer that has ended told so.
            let _ = writer.send(bytes);
        }
    }

    pub(super) const fn handle_written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
    }

    /// Lets it write what is left, until the peer has closed it too. What is read meanwhile counts for nothing, but it is
    /// read: a socket that is closed with unread bytes takes back what it has sent. Aborted, it ends at once.
    pub(super) fn close(mut self) -> JoinHandle<()> {
        self.writer = None;
        tokio::spawn(async move {
            let both = async {
                for task in &mut self.tasks {
                    // One that panicked has told so.
                    let _ = task.await;
                }
            };
            // Whoever takes nothing and says nothing is not waited for longer.
            let _ = tokio::time::timeout(LINGER, both).await;
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn read(
    connection: ConnectionId,
    mut from: OwnedReadHalf,
    waiting: Arc<AtomicUsize>,
    inputs: mpsc::Sender<Kind>,
) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        let reason = match from.read_buf(&mut buffer).await {
            Ok(0) => "the peer closed the connection".to_owned(),
            Ok(_) => {
                let bytes = buffer.split().freeze();
                waiting.fetch_add(1, Ordering::Relaxed);
                if inputs.send(Kind::Received { connection, bytes }).await.is_err() {
                    return;
                }
                continue;
            }
            Err(error) => error.to_string(),
        };
        // A driver that has gone need not know.
        let _ = inputs.send(Kind::Closed { connection, reason }).await;
        return;
    }
}

async fn write(
    connection: ConnectionId,
    mut to: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    inputs: mpsc::Sender<Kind>,
) {
    while let Some(bytes) = queue.recv().await {
        if let Err(error) = write_all(connection, &mut to, &bytes, &inputs).await {
            // As above.
            let _ = inputs.send(Kind::Closed { connection, reason: error.to_string() }).await;
            return;
        }
    }
    // Dropped, this half tells the peer that nothing more comes; the other one still reads.
}

async fn write_all(
    connection: ConnectionId,
    to: &mut OwnedWriteHalf,
    mut bytes: &[u8],
    inputs: &mpsc::Sender<Kind>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = to.write(bytes).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        // Without a driver, this task is about to be aborted.
        let _ = inputs.send(Kind::Written { connection, bytes: written }).await;
    }
    Ok(())
}
