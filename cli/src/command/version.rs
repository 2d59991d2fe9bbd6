//! `weft version`: of this program and of the weftd that answers.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use weft_api::client::Client;

use crate::output::Output;

/// Show the versions of weft and of weftd
#[derive(Debug, Args)]
pub(crate) struct Version {}

#[derive(Debug, Serialize)]
struct Versions {
    weft: &'static str,
    /// None if weftd does not answer.
    weftd: Option<String>,
    /// Version of the kernel contract.
    abi: Option<u32>,
}

impl Version {
    pub(crate) fn run(&self, client: &Client, output: &mut Output) -> Result<()> {
        let status = client.status();
        let problem = status.as_ref().err().map(ToString::to_string);
        let status = status.ok();
        let versions = Versions {
            weft: env!("CARGO_PKG_VERSION"),
            abi: status.as_ref().map(|status| status.abi),
            weftd: status.map(|status| status.version),
        };
        output.print(&versions, |versions| render(versions, problem.as_deref()))
    }
}

fn render(versions: &Versions, problem: Option<&str>) -> String {
    let weftd = match (&versions.weftd, versions.abi) {
        (Some(version), Some(abi)) => format!("{version} (kernel contract {abi})"),
        _ => format!("unknown: {}", problem.unwrap_or_default().lines().next().unwrap_or_default()),
    };
    format!("weft   {}\nweftd  {weftd}\n", versions.weft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_weftd() {
        let versions = Versions { weft: "0.1.0", weftd: Some("0.2.0".to_owned()), abi: Some(1) };
        assert_eq!(render(&versions, None), "weft   0.1.0\nweftd  0.2.0 (kernel contract 1)\n");
        let versions = Versions { weft: "0.1.0", weftd: None, abi: None };
        assert_eq!(render(&versions, Some("no\nadvice")), "weft   0.1.0\nweftd  unknown: no\n");
    }
}
