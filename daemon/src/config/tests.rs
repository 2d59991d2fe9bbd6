//! Every rule of the config file, and where a broken one is shown.

use std::time::Duration;

use weft_bgp::evpn::DuplicateDetection;
use weft_bgp::wire::{Asn, RouterId};

use weft_dataplane::Options;

use super::*;

const GOOD: &str = r#"
[host]
name = "dc1-host1"
[underlay]
device = "eth0"
vtep = "192.0.2.1"
"#;

fn error(text: &str) -> String {
    Config::parse(Path::new("weftd.toml"), text).unwrap_err().to_string()
}

#[test]
fn defaults() {
    let config = Config::parse(Path::new("weftd.toml"), GOOD).unwrap();
    assert_eq!(config.host_name(), "dc1-host1");
    assert_eq!(config.underlay.router_mac().to_string(), "02:00:c0:00:02:01");
    assert_eq!(config.underlay.gateway_mac().to_string(), "00:00:5e:00:01:01");
    assert_eq!(config.underlay.udp_port(), 4789);
    assert_eq!(config.underlay.xdp(), desired::Xdp::Auto);
    assert_eq!(config.state.folder.as_path(), Path::new("/var/lib/weft"));
    assert_eq!(config.api.socket.as_path(), Path::new("/run/weft/weftd.sock"));
    assert_eq!(config.dataplane_options().sizes.addresses, 1_048_576);
    let sizes = config.dataplane_options().sizes;
    assert_eq!((sizes.flows, sizes.half_open, sizes.rules), (262_144, 65_536, 262_144));
    let timeouts = desired::FlowTimeouts::default();
    let flows = desired::FlowLimits { timeouts, per_port: 65_536, per_tenant: 131_072, half_open: 1024 };
    assert_eq!(config.flow_limits(), flows);
}

#[test]
fn connections_have_limits_and_times() {
    let flows =
        |text: &str| Config::parse(Path::new("weftd.toml"), &format!("{GOOD}{text}")).unwrap().flow_limits();
    let given = flows(
        "[flows]\nper_port = 5\nper_tenant = 7\nhalf_open_per_port = 3\ntcp_opening = 1\ntcp_open = 2\n\
                       tcp_half_closed = 3\ntcp_closed = 4\ntcp_reset = 5\nudp_single = 6\nudp_open = 7\nicmp = 8\nother = 9\n",
    );
    let timeouts = desired::FlowTimeouts {
        tcp_opening: 1,
        tcp_open: 2,
        tcp_half_closed: 3,
        tcp_closed: 4,
        tcp_reset: 5,
        udp_single: 6,
        udp_open: 7,
        icmp: 8,
        other: 9,
    };
    assert_eq!(given, desired::FlowLimits { timeouts, per_port: 5, per_tenant: 7, half_open: 3 });
    // Where the kernel has room for fewer, that is the limit.
    let small = flows("[sizes]\nflows = 1000\nhalf_open = 100\n");
    assert_eq!((small.per_port, small.per_tenant, small.half_open), (1000, 1000, 100));
}

#[test]
fn the_machine_has_a_name_too() {
    let config = Config::parse(Path::new("weftd.toml"), &GOOD.replace("name = \"dc1-host1\"", "")).unwrap();
    assert!(!config.host_name().is_empty());
}

/// Text to replace, its replacement, and what the error must begin with and show.
#[test]
fn errors_name_file_line_and_column() {
    let table = [
        ("vtep = \"192.0.2.1\"", "vtep = \"127.0.0.1\"", ":6:8: ", "is not a unicast address"),
        ("vtep = \"192.0.2.1\"", "vtep = \"host1\"", ":6:8: ", "a VTEP is an IPv4 or IPv6 address"),
        ("vtep = \"192.0.2.1\"", "vtep = \"fe80::1\"", ":6:8: ", "is not a unicast address"),
        ("vtep = \"192.0.2.1\"", "", ":4:1: ", "missing field `vtep`"),
        ("name = \"dc1-host1\"", "name = \"\"", ":3:8: ", "the host's name \"\" is empty"),
        ("name = \"dc1-host1\"", "name = \"Host 1\"", ":3:8: ", "lower-case letters, digits and hyphens"),
        ("device = \"eth0\"", "device = \"a-name-too-long-for-it\"", ":5:10: ", "1 to 15 bytes"),
        ("device = \"eth0\"", "device = \"a b\"", ":5:10: ", "no white space"),
        ("[host]", "[sizes]\nports = 0\n[host]", ":3:9: ", "nonzero"),
        ("[host]", "[sizes]\nports = 5000000000\n[host]", ":3:9: ", "5000000000"),
        ("[host]", "[sizes]\nevents = 100000\n[host]", ":3:10: ", "a power of two from 65536"),
        ("[host]", "[sizes]\nflows = 0\n[host]", ":3:9: ", "nonzero"),
        ("[host]", "[flows]\nper_port = 0\n[host]", ":3:12: ", "nonzero"),
        ("[host]", "[flows]\nicmp = 0\n[host]", ":3:8: ", "nonzero"),
        ("[host]", "[flows]\ntcp = 60\n[host]", ":3:1: ", "unknown field `tcp`"),
        (
            "[host]",
            "[flows]\nper_port = 262145\n[host]",
            ":3:12: ",
            "flows.per_port is 262145, and the kernel has room for 262144 at all (sizes.flows); raise sizes.flows, or lower \
             flows.per_port",
        ),
        (
            "[host]",
            "[sizes]\nflows = 9\n[flows]\nper_tenant = 10\n[host]",
            ":5:14: ",
            "flows.per_tenant is 10, and the kernel has room for 9",
        ),
        ("[host]", "[flows]\nhalf_open_per_port = 65537\n[host]", ":3:22: ", "(sizes.half_open)"),
        ("[host]", "[state]\nfolder = \"state\"\n[host]", ":3:10: ", "not a path from the root"),
        ("[underlay]", "[underlay]\nudp_port = 0", ":5:12: ", "nonzero"),
        ("[underlay]", "[underlay]\nrouter_mac = \"01:00:00:00:00:01\"", ":5:14: ", "not a unicast MAC"),
        ("[underlay]", "[underlay]\nrouter_mac = \"00:00:5e:00:01:01\"", ":5:14: ", "is also gateway_mac"),
        (
            "[underlay]",
            "[underlay]\nxdp = \"generic\"",
            ":5:7: ",
            "unknown variant `generic`, expected one of `auto`, `off`, `guard`",
        ),
        ("[underlay]", "[underlay]\nspeed = 10", ":5:1: ", "unknown field `speed`"),
        ("[host]", "[hots]", ":2:2: ", "unknown field `hots`"),
        ("[host]", "[bgp]\nasn = 0\n[host]", ":3:7: ", "AS 0 is nobody's"),
        ("[host]", "[bgp]\nasn = 23456\n[host]", ":3:7: ", "AS 23456 stands for those"),
        ("[host]", "[bgp]\nasn = 4294967296\n[host]", ":3:7: ", "4294967296"),
        ("[host]", "[bgp]\n[host]", ":2:1: ", "missing field `asn`"),
        ("[host]", "[bgp]\nasn = 1\nrouter_id = \"0.0.0.0\"\n[host]", ":4:13: ", "0.0.0.0 is not legal"),
        ("[host]", "[bgp]\nasn = 1\nlisten = [\"::\", \"::\"]\n[host]", ":4:10: ", ":: is there twice"),
        ("[host]", "[bgp]\nasn = 1\nlisten = [\"224.0.0.1\"]\n[host]", ":4:10: ", "224.0.0.1 is multicast"),
        ("[host]", "[bgp]\nasn = 1\nport = 0\n[host]", ":4:8: ", "nonzero"),
        ("[host]", "[bgp]\nasn = 1\nrestart_time_s = 4096\n[host]", ":4:18: ", "name 0 to 4095"),
        ("[host]", "[bgp]\nasn = 1\npeers = 3\n[host]", ":4:1: ", "unknown field `peers`"),
        ("name = ", "name ", ":3:6: ", "expected"),
    ];
    for (from, to, place, message) in table {
        let text = error(&GOOD.replace(from, to));
        assert!(text.starts_with(&format!("weftd.toml{place}")), "{to}: {text}");
        assert!(text.contains(message), "{to}: {text}");
        assert!(text.contains(" | "), "{to}: {text}");
    }
}

#[test]
fn the_line_is_shown() {
    let text = error(&GOOD.replace("192.0.2.1", "0.0.0.0"));
    let shown = "\n  |\n6 | vtep = \"0.0.0.0\"\n  |        ^^^^^^^^^";
    assert!(text.ends_with(shown), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let text = Config::read(Path::new("/nonexistent/weftd.toml")).unwrap_err().to_string();
    assert!(text.starts_with("config file /nonexistent/weftd.toml: "), "{text}");
}

#[test]
fn a_speaker_is_filled_in() {
    let parse = |text: &str| Config::parse(Path::new("weftd.toml"), text).unwrap().speaker();
    assert_eq!(parse(GOOD), None);
    let speaker = Speaker {
        asn: Asn::new(65000),
        router_id: RouterId::new([192, 0, 2, 1].into()).unwrap(),
        listen: vec!["0.0.0.0".parse().unwrap(), "::".parse().unwrap()],
        port: 179,
        cluster_id: [192, 0, 2, 1].into(),
        restart_time_s: 120,
        install_routes: false,
        duplicates: DuplicateDetection::default(),
    };
    assert_eq!(parse(&format!("{GOOD}[bgp]\nasn = 65000\n")).as_ref(), Some(&speaker));
    let given = "[bgp]\nasn = 65000\nrouter_id = \"10.0.0.1\"\ncluster_id = \"0.0.0.9\"\nlisten = []\nport = 1179\n\
                 restart_time_s = 0\ninstall_routes = true\nduplicate_moves = 9\nduplicate_window_s = 10\nduplicate_recovery_s = 0\n";
    let router_id = RouterId::new([10, 0, 0, 1].into()).unwrap();
    let cluster_id = [0, 0, 0, 9].into();
    let given_speaker = Speaker {
        router_id,
        cluster_id,
        listen: vec![],
        port: 1179,
        restart_time_s: 0,
        install_routes: true,
        duplicates: DuplicateDetection { moves: 9, window: Duration::from_secs(10), recovery: None },
        ..speaker.clone()
    };
    assert_eq!(parse(&format!("{GOOD}{given}")), Some(given_speaker));
    let given = format!("{GOOD}[bgp]\nasn = 65000\nrouter_id = \"10.0.0.1\"\n");
    let speaker = Speaker { router_id, cluster_id: router_id.get(), ..speaker };
    assert_eq!(parse(&given), Some(speaker));
}

#[test]
fn a_vtep_of_ipv6_makes_no_router_id() {
    let text = GOOD.replace("192.0.2.1", "2001:db8::1");
    let message = error(&format!("{text}[bgp]\nasn = 65000\n"));
    assert!(message.starts_with("weftd.toml:7:1: bgp.router_id is missing"), "{message}");
    let given = format!("{text}[bgp]\nasn = 65000\nrouter_id = \"10.0.0.1\"\n");
    assert!(Config::parse(Path::new("weftd.toml"), &given).unwrap().speaker().is_some());
}

/// What is commented out there is what the file takes, and the default.
#[test]
fn the_packaged_file_is_true() {
    let packaged = include_str!("../../../packaging/weftd.toml");
    let is_key = |line: &str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        line == "[bgp]"
            || (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || b"_4".contains(&byte)))
    };
    let uncommented: Vec<_> = packaged
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|text| is_key(text)).unwrap_or(line))
        .collect();
    let file = Path::new("weftd.toml");
    let full = Config::parse(file, &uncommented.join("\n")).unwrap();
    let plain = Config::parse(file, packaged).unwrap();
    let bgp = Config::parse(file, &format!("{packaged}\n[bgp]\nasn = 65000\n")).unwrap();
    assert_eq!((full.speaker(), plain.speaker()), (bgp.speaker(), None));
    assert_eq!(full.dataplane_options(), bgp.dataplane_options());
    // Routes that peers told of are kept over a start.
    let kept = Options { keep_routes: true, ..plain.dataplane_options() };
    assert_eq!(full.dataplane_options(), kept);
    assert_eq!(full.underlay.router_mac(), plain.underlay.router_mac());
    assert_eq!(full.flow_limits(), plain.flow_limits());
    let text = format!("{}file = \"/var/log/weft/flows.jsonl\"\n", &packaged);
    let given = Config::parse(file, &text).unwrap();
    assert_eq!((full.flow_log(), plain.flow_log()), (given.flow_log(), None));
}
