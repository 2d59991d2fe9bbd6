//! A blocking client of weftd's API over its unix socket.
//!
//! One connection a request: the daemon is on this host, and a client that lives for one command gains nothing from a
//! pool.

mod bgp;
mod error;
mod security;
mod transport;
mod watch;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, AsSendBody, Body};

use crate::kind::{Kind, Reference};
use crate::resource::{Attachment, Resource};
use crate::view::{Counters, DropLine, ErrorBody, Outcome, Route, Status, Stored};
pub use bgp::{Rib, RibTable};
pub use error::ClientError;
pub use security::{TestPacket, WantedFlows};
pub use watch::Watch;

/// Where weftd listens unless its configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/weft/weftd.sock";

/// How long an answer may take: a change answers when the kernel has it, and a large one takes seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 30;

/// Asks one weftd.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    socket: PathBuf,
    timeout: Duration,
}

/// Which drops are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Only of this port; the empty name: of none of this host's.
    pub port: Option<&'a str>,
    /// Only for this reason.
    pub reason: Option<&'a str>,
    /// At most so many of those that weftd remembers: all unless given, or none where those to come are followed.
    pub last: Option<usize>,
}

impl Client {
    /// A client of the weftd behind `socket`. Connects at the first request.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = ().chain(transport::UnixConnector::new(socket.clone()));
        let agent = Agent::with_parts(config, connector, transport::NoResolver);
        Self { agent, socket, timeout: TIMEOUT }
    }

    /// The same client with another limit on how long an answer may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The host at a glance.
    ///
    /// # Errors
    /// [`ClientError`], as for every request.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get_json("/v1/status")
    }

    /// The routes of a network, or of all.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn routes(&self, network: Option<&str>) -> Result<Vec<Route>, ClientError> {
        match network {
            Some(network) => self.get_json(&format!("/v1/routes?network={}", escape(network))),
            None => self.get_json("/v1/routes"),
        }
    }

    /// The counters of every port, and of what belongs to none.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn counters(&self) -> Result<Vec<Counters>, ClientError> {
        self.get_json("/v1/counters")
    }

    /// Every resource of a kind.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn list(&self, kind: Kind) -> Result<Vec<Stored>, ClientError> {
        self.get_json(&format!("/v1/{}", kind.plural()))
    }

    /// One resource.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if it does not exist; [`ClientError`]
    pub fn get(&self, reference: &Reference) -> Result<Stored, ClientError> {
        self.get_json(&path(reference))
    }

    /// Creates one resource.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 409 if it exists; [`ClientError`]
    pub fn create(&self, resource: &Resource) -> Result<Outcome, ClientError> {
        self.send(Method::POST, &format!("/v1/{}", resource.kind().plural()), &untagged(resource)?)
    }

    /// Replaces one resource.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if it does not exist; [`ClientError`]
    pub fn replace(&self, resource: &Resource) -> Result<Outcome, ClientError> {
        self.send(Method::PUT, &path(&resource.reference()), &untagged(resource)?)
    }

    /// Deletes one resource.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if it does not exist, 409 if others need it; [`ClientError`]
    pub fn delete(&self, reference: &Reference) -> Result<Outcome, ClientError> {
        self.call(Method::DELETE, &path(reference))
    }

    /// Creates or replaces resources, all or none. On a dry run, only says what would change.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn apply(&self, resources: &[Resource], dry_run: bool) -> Result<Outcome, ClientError> {
        self.send(Method::POST, if dry_run { "/v1/apply?dry_run=true" } else { "/v1/apply" }, resources)
    }

    /// Deletes resources, all or none. On a dry run, only says what would change.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn delete_all(&self, references: &[Reference], dry_run: bool) -> Result<Outcome, ClientError> {
        self.send(Method::POST, if dry_run { "/v1/delete?dry_run=true" } else { "/v1/delete" }, references)
    }

    /// Puts a port into a network namespace. A port that is attached elsewhere is taken from there only if it
    /// `may_move`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 409 if it is attached elsewhere; [`ClientError`]
    pub fn attach(
        &self,
        port: &str,
        attachment: &Attachment,
        may_move: bool,
    ) -> Result<Outcome, ClientError> {
        let query = if may_move { "?move=true" } else { "" };
        self.send(Method::POST, &format!("/v1/ports/{}/attach{query}", escape(port)), attachment)
    }

    /// Takes a port out of its namespace.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn detach(&self, port: &str) -> Result<Outcome, ClientError> {
        self.call(Method::POST, &format!("/v1/ports/{}/detach", escape(port)))
    }

    /// Changes to resources as they happen, starting after a revision of the store, or now.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 410 if the daemon no longer knows what came after the revision;
    /// [`ClientError`]
    pub fn watch(&self, since: Option<u64>) -> Result<Watch, ClientError> {
        let path = match since {
            Some(revision) => format!("/v1/watch?since={revision}"),
            None => "/v1/watch".to_owned(),
        };
        self.stream(&path)
    }

    /// The drops that weftd remembers, the oldest first.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 400 if there is no such reason; [`ClientError`]
    pub fn drops(&self, wanted: &Wanted<'_>) -> Result<Vec<DropLine>, ClientError> {
        self.get_json(&wanted.path(false))
    }

    /// Drops as they happen.
    ///
    /// # Errors
    /// As [`Client::drops`].
    pub fn follow_drops(&self, wanted: &Wanted<'_>) -> Result<Watch<DropLine>, ClientError> {
        self.stream(&wanted.path(true))
    }

    fn stream<T: DeserializeOwned>(&self, path: &str) -> Result<Watch<T>, ClientError> {
        let what = format!("GET {path}");
        let request = Request::get(url(path)).body(()).map_err(|error| self.invalid(&what, &error))?;
        // Silence is no error here: nothing changes for hours.
        let request = self.agent.configure_request(request).timeout_recv_response(Some(self.timeout)).build();
        let response = self.agent.run(request).map_err(|error| self.failed(&what, error))?;
        let response = self.accept(&what, response)?;
        Ok(Watch::new(response.into_body().into_reader(), what))
    }

    /// Removes all that weft made on this host and stops weftd. Says what was removed.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn teardown(&self) -> Result<Vec<String>, ClientError> {
        self.call(Method::POST, "/v1/teardown")
    }

    fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path)
    }

    fn call<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        self.exchange(method, path, ())
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| self.invalid(&format!("{method} {path}"), &error))?;
        self.exchange(method, path, body)
    }

    fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: impl AsSendBody,
    ) -> Result<T, ClientError> {
        let what = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(url(path))
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| self.invalid(&what, &error))?;
        let request = self.agent.configure_request(request).timeout_global(Some(self.timeout)).build();
        let response = self.agent.run(request).map_err(|error| self.failed(&what, error))?;
        let response = self.accept(&what, response)?;
        let answer = self.read(&what, response)?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Protocol {
            request: what,
            cause: format!("the answer is not what this version of weft expects: {error}"),
        })
    }

    /// Lets a success through; anything else is an error with the daemon's reasons.
    fn accept(&self, what: &str, response: Response<Body>) -> Result<Response<Body>, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let answer = self.read(what, response)?;
        match serde_json::from_slice::<ErrorBody>(&answer) {
            Ok(body) => Err(ClientError::Refused { status: status.as_u16(), problems: body.errors }),
            Err(_) => {
                let text = String::from_utf8_lossy(&answer);
                let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
                Err(ClientError::Protocol {
                    request: what.to_owned(),
                    cause: format!("status {status}: {line}"),
                })
            }
        }
    }

    fn read(&self, what: &str, response: Response<Body>) -> Result<Vec<u8>, ClientError> {
        let mut answer = Vec::new();
        let mut reader = response.into_body().into_reader().take(MAX_ANSWER);
        reader.read_to_end(&mut answer).map_err(|error| self.failed(what, ureq::Error::from(error)))?;
        Ok(answer)
    }

    fn failed(&self, what: &str, error: ureq::Error) -> ClientError {
        ClientError::from_transport(&self.socket, what, self.timeout, error)
    }

    fn invalid(&self, what: &str, error: &dyn std::error::Error) -> ClientError {
        ClientError::Protocol { request: what.to_owned(), cause: format!("cannot be asked: {error}") }
    }
}

impl Wanted<'_> {
    fn path(&self, follow: bool) -> String {
        let mut query = vec![format!("follow={follow}")];
        query.extend(self.port.map(|port| format!("port={}", escape(port))));
        query.extend(self.reason.map(|reason| format!("reason={}", escape(reason))));
        query.extend(self.last.map(|last| format!("last={last}")));
        format!("/v1/drops?{}", query.join("&"))
    }
}

/// The body of a create or a replace: the kind is in the path.
fn untagged(resource: &Resource) -> Result<serde_json::Value, ClientError> {
    let mut value = serde_json::to_value(resource).map_err(|error| ClientError::Protocol {
        request: resource.reference().to_string(),
        cause: format!("cannot be written as JSON: {error}"),
    })?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("kind");
    }
    Ok(value)
}

fn path(reference: &Reference) -> String {
    format!("/v1/{}/{}", reference.kind.plural(), escape(&reference.name))
}

/// The host is not used, but HTTP wants one.
fn url(path: &str) -> String {
    format!("http://localhost{path}")
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
