//! One real weftd: its configuration, its process, its log.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use weft_api::view::Xdp;
use weft_vxlan::{UDP_PORT, Vtep};

use crate::process::{self, Lifetime, binary, start};
use crate::{Lab, Namespace, PATIENCE, Weft, wait_for};

/// What a weftd is told about its host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the host.
    pub name: String,
    /// Underlay device.
    pub device: String,
    /// Tunnel address.
    pub vtep: Vtep,
    /// UDP port of VXLAN.
    pub udp_port: u16,
    /// `underlay.xdp`.
    pub xdp: Xdp,
    /// `underlay.self_test`.
    pub self_test: bool,
    /// `sizes.addresses`.
    pub addresses: u32,
    /// Further lines of `[sizes]`.
    pub sizes: String,
    /// Lines of `[flows]`.
    pub flows: String,
    /// `bgp.asn`; without it weftd speaks no BGP.
    pub asn: Option<u32>,
    /// Further lines of `[bgp]`.
    pub bgp: String,
    /// Folder of configuration, state, socket and log.
    pub folder: PathBuf,
    /// Folder of the pins.
    pub pin_folder: PathBuf,
}

impl Settings {
    /// Settings for a host of `lab`.
    #[must_use]
    pub fn new(lab: &Lab, name: &str, device: &str, vtep: Vtep) -> Self {
        Self {
            name: name.to_owned(),
            device: device.to_owned(),
            vtep,
            udp_port: UDP_PORT,
            xdp: Xdp::default(),
            self_test: true,
            addresses: 4096,
            sizes: String::new(),
            flows: String::new(),
            asn: None,
            bgp: String::new(),
            folder: lab.folder().join(name),
            pin_folder: lab.pin_folder(name),
        }
    }

    /// The file that weftd reads. Small tables: a test has few ports, and a machine many tests.
    #[must_use]
    pub fn toml(&self) -> String {
        // On a newer kernel as on one without tcx.
        let hook = match std::env::var("WEFT_TEST_HOOK") {
            Ok(hook) => format!("hook = \"{hook}\"\n"),
            Err(_) => String::new(),
        };
        let bgp = self.asn.map(|asn| format!("\n[bgp]\nasn = {asn}\n{}", self.bgp)).unwrap_or_default();
        format!(
            "[host]\nname = \"{}\"\n\n\
             [underlay]\ndevice = \"{}\"\nvtep = \"{}\"\nudp_port = {}\nxdp = \"{}\"\n\
             self_test = {}\n\n\
             [state]\nfolder = \"{}\"\n\n\
             [api]\nsocket = \"{}\"\n\n\
             [bpf]\npin_folder = \"{}\"\n{}\n\
             [sizes]\nports = 64\nvnis = 256\nvteps = 64\naddresses = {}\nprefixes = 1024\n{}\n[flows]\n{}{}",
            self.name,
            self.device,
            self.vtep,
            self.udp_port,
            self.xdp,
            self.self_test,
            self.folder.join("state").display(),
            self.socket().display(),
            self.pin_folder.display(),
            hook,
            self.addresses,
            self.sizes,
            self.flows,
            bgp,
        )
    }

    /// Where weftd listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("weftd.sock")
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("weftd.toml")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("weftd.log")
    }
}

/// A weftd, running or not. Dropping it kills it, unless its lab is to be kept.
#[derive(Debug)]
pub struct Weftd {
    settings: Settings,
    program: PathBuf,
    weft: Weft,
    namespace: File,
    lifetime: Lifetime,
    child: Option<Child>,
}

impl Weftd {
    /// Writes the configuration for the host that `namespace` is; starts nothing yet.
    ///
    /// # Errors
    /// weft was not built, or the disk is full.
    pub fn new(lab: &Lab, settings: Settings, namespace: &Namespace) -> Result<Self> {
        fs::create_dir_all(&settings.folder)?;
        fs::write(settings.config(), settings.toml())?;
        let lifetime = if lab.is_kept() { Lifetime::Own } else { Lifetime::Ours };
        let weft = Weft::new(&settings.socket(), namespace)?;
        Ok(Self {
            settings,
            program: binary("weftd")?,
            weft,
            namespace: namespace.file().try_clone()?,
            lifetime,
            child: None,
        })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes another configuration, for its next start.
    ///
    /// # Errors
    /// The disk is full.
    pub fn reconfigure(&mut self, adapt: impl FnOnce(&mut Settings)) -> Result<()> {
        adapt(&mut self.settings);
        Ok(fs::write(self.settings.config(), self.settings.toml())?)
    }

    /// The command that speaks to it.
    #[must_use]
    pub fn weft(&self) -> &Weft {
        &self.weft
    }

    /// The id of its process, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// From its next start on it is this program.
    pub fn becomes(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// Starts it in its host's namespace; does not wait for it.
    ///
    /// # Errors
    /// weftd was not built.
    pub fn launch(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.settings.log())?;
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.settings.config());
        // The log is read by people in the output of a failed test.
        command.env("NO_COLOR", "1").current_dir("/").stdin(std::process::Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        self.child = Some(start(command, &self.namespace, self.lifetime)?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It ended, or does not answer in time; the end of its log.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let socket = self.settings.socket();
        let child = self.child.as_mut().context("weftd was not started")?;
        let mut ended = None;
        let result = wait_for(PATIENCE, "weftd's socket", || {
            ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() {
                return Ok(());
            }
            UnixStream::connect(&socket).map(drop).map_err(|error| error.to_string())
        });
        match (result, ended) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(status)) => Err(anyhow!("weftd ended: {status}")),
            (Err(error), _) => Err(error),
        }
        .with_context(|| format!("weftd of {}; its log ends:\n{}", self.settings.name, self.log_end(30)))
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// As [`Weftd::launch`] and [`Weftd::wait_until_ready`].
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_until_ready()
    }

    /// Asks it to stop (SIGTERM) and waits.
    ///
    /// # Errors
    /// It is not running or does not stop in time.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.end(Signal::SIGTERM)
    }

    /// Kills it (SIGKILL) and waits.
    ///
    /// # Errors
    /// It is not running.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.end(Signal::SIGKILL)
    }

    fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        let Some(child) = &self.child else { bail!("weftd of {} is not running", self.settings.name) };
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        self.wait_until_ended().with_context(|| signal.to_string())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It was not started, or goes on.
    pub fn wait_until_ended(&mut self) -> Result<ExitStatus> {
        process::wait_until_ended(&mut self.child, &format!("weftd of {}", self.settings.name))
    }

    /// The last `lines` of its log.
    #[must_use]
    pub fn log_end(&self, lines: usize) -> String {
        end_of(&self.settings.log(), lines)
    }
}

impl Drop for Weftd {
    fn drop(&mut self) {
        if self.child.is_some() && self.lifetime == Lifetime::Ours {
            // One that cannot be killed is left to the kernel, which kills it at our end.
            drop(self.kill());
        }
    }
}

/// The last `lines` of a text file.
pub(crate) fn end_of(file: &Path, lines: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let skip = text.lines().count().saturating_sub(lines);
    text.lines().skip(skip).collect::<Vec<_>>().join("\n")
}
