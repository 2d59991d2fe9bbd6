//! weftd's neighbours, watched by BFD: what the protocols make of it together.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use weft_tests::peers::{self, Frr, FrrSettings, Program};
use weft_tests::underlay::{Machine, UPLINK};
use weft_tests::{Lab, PATIENCE, Settings, Weftd, wait_for};

use super::is_up;
use crate::{A, B, frr_between, hosts};

/// Codes of the NOTIFICATION: FRR does graceful restart, and must not keep the routes (RFC 8538 section 3.1).
const CEASE: u64 = 6;
const HARD_RESET: u64 = 9;
/// BGP alone would need that long.
const HOLD_TIME: Duration = Duration::from_secs(9);

/// In: weftd and FRR, neighbours of one AS on one subnet, which FRR takes for a single hop, then of two ASes. bfdd falls
/// silent while bgpd goes on. Out: BFD comes up; weftd ends the session, so that no route is kept, long before the hold
/// time is over; when bfdd goes on, both come back.
#[test]
fn silence_ends_bgp() -> Result<()> {
    for theirs in [65001, 65002] {
        peers::test(&[Program::Frr], |lab| {
            let [a, b] = hosts(lab)?;
            let weftd = weftd(lab, &a, B, theirs)?;
            let bgpd = frr_between([B, A], [theirs, 65001], &["l2vpn evpn"], "")
                + &format!(" neighbor {A} bfd 3 100 100\n");
            let settings = FrrSettings { bgpd: &bgpd, bfdd: Some("bfd\n"), ..FrrSettings::default() };
            let mut frr = Frr::start(lab, "frr", &b.namespace, settings)?;
            frr.wait_established(A)?;
            frr.wait_for_bfd(A, "bfdd's session", is_up)?;
            wait_for_weft(&weftd, "BFD that is up", |peer| peer["bfd"]["state"] == "up")?;

            let stopped = Instant::now();
            frr.bfdd()?.pause()?;
            // vtysh would wait for bfdd.
            wait_for_weft(&weftd, "the end of the session", |peer| {
                let told = &peer["notification_sent"];
                peer["last_error"] == "BFD says that it is gone"
                    && (&told["code"], &told["subcode"]) == (&CEASE.into(), &HARD_RESET.into())
            })?;
            let took = stopped.elapsed();
            ensure!(took < HOLD_TIME / 3, "{took:?}");
            frr.bfdd()?.resume()?;
            frr.wait_established(A)?;
            frr.wait_for_bfd(A, "bfdd's session", is_up)?;
            wait_for_weft(&weftd, "BFD that is up again", |peer| peer["bfd"]["state"] == "up").map(drop)
        })?;
    }
    Ok(())
}

/// A weftd of AS 65001 with one neighbour that it watches.
fn weftd(lab: &Lab, on: &Machine, neighbour: IpAddr, asn: u32) -> Result<Weftd> {
    let mut settings = Settings::new(lab, &on.name, UPLINK, on.vtep);
    settings.asn = Some(65001);
    let document = settings.folder.join("peer.yaml");
    let mut weftd = Weftd::new(lab, settings, &on.namespace)?;
    weftd.start()?;
    let bfd = r#"{"interval_ms":100,"multiplier":3}"#;
    fs::write(
        &document,
        format!(r#"{{"kind":"peer","name":"frr","address":"{neighbour}","asn":{asn},"bfd":{bfd}}}"#),
    )?;
    weftd.weft().must(&["apply", "-f", document.to_str().context("a path that is UTF-8")?])?;
    Ok(weftd)
}

/// Waits until what weftd says of its neighbour is as `wanted`.
fn wait_for_weft(weftd: &Weftd, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_for(PATIENCE, what, || {
        let said = weftd.weft().must(&["bgp", "neighbors", "frr", "-o", "json"]);
        let said = said.and_then(|said| Ok(serde_json::from_str::<Value>(&said)?));
        let said = said.map_err(|error| format!("{error:#}"))?;
        if wanted(&said) { Ok(said) } else { Err(said.to_string()) }
    })
}
