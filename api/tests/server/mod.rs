//! An HTTP server over a unix socket, in std alone: what weftd looks like to its clients, down to the bytes.

#![allow(dead_code, reason = "each test crate uses its part")]
#![allow(clippy::unwrap_used, reason = "a server that fails is a failed test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: String,
}

/// A server whose socket lies in a folder of its own. Its thread ends with the test process.
pub(crate) struct Server {
    folder: PathBuf,
    requests: Receiver<Request>,
}

impl Server {
    /// Answers each request with the bytes that `answer` makes, then closes the connection.
    pub(crate) fn start(name: &str, answer: impl Fn(&Request) -> Vec<u8> + Send + 'static) -> Self {
        let folder = std::env::temp_dir().join(format!("weft-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("weftd.sock")).unwrap();
        let (send, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let request = read_request(&stream);
                let bytes = answer(&request);
                // The test may be over, or the client gone: neither is the server's business.
                let _ = send.send(request);
                let _ = (&stream).write_all(&bytes);
            }
        });
        Self { folder, requests }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("weftd.sock")
    }

    /// A folder for the test's files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The next request that was answered.
    pub(crate) fn request(&self) -> Request {
        self.requests.recv_timeout(std::time::Duration::from_secs(10)).expect("no request within 10 seconds")
    }

    /// Whether nothing more was asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A whole answer with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A chunked answer of whole lines, ended well or broken off.
pub(crate) fn stream(lines: &[&str], ended: bool) -> Vec<u8> {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for line in lines {
        bytes.extend_from_slice(format!("{:x}\r\n{line}\n\r\n", line.len() + 1).as_bytes());
    }
    if ended {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    bytes
}

fn read_request(stream: &UnixStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((key, value)) = line.trim().split_once(':') else { break };
        if key.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Request { method, target, body: String::from_utf8(body).unwrap() }
}
