//! The program as its users run it, against real bytes on a real unix socket: what it asks, what it prints, and its
//! exit status.

#[path = "../../api/tests/server/mod.rs"]
mod server;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use server::{Request, Server, json, stream};

const NETWORK: &str = "kind: network\nname: red\ntenant: acme\nvni: 5000\n";
const NETWORK_JSON: &str = r#"{"kind":"network","name":"red","tenant":"acme","vni":5000}"#;
const STORED: &str = r#"[{"kind":"network","name":"red","tenant":"acme","vni":5000,"revision":7}]"#;
const GROUP: &str = r#"{"kind":"security-group","name":"web","tenant":"acme","id":7,"rules":[{"direction":"ingress","protocol":"tcp","ports":80},{"direction":"ingress","action":"deny","priority":7,"prefix":"10.6.0.0/16"}],"revision":7}"#;
const PLAN: &str = r#"{"dry_run":true,"revision":7,"resources":[{"action":"create","resource":"network/red"}],"kernel":["add VNI 5000"],"failures":[]}"#;
const FAILED: &str = r#"{"dry_run":false,"revision":8,"resources":[{"action":"replace","resource":"port/web"}],"kernel":[],"failures":["port/web: no such namespace"]}"#;
const STATUS: &str = r#"{"host":"h1","version":"0.1.0","abi":1,"hook":"tcx","uptime_seconds":5,"underlay":"eth1","vtep":"192.0.2.1","router_mac":"02:00:c0:00:02:01","revision":7,"resources":{"network":1},"ports":[],"vteps":[],"checked_seconds_ago":4,"failures":[]}"#;

/// How often the first rule of that decided.
const HITS: &str = r#"[{"direction":"ingress","by":{"rule":{"group":"web","index":0}},"hits":12}]"#;

fn answer(request: &Request) -> Vec<u8> {
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", "/v1/status") => json(200, STATUS),
        ("GET", "/v1/networks") => json(200, STORED),
        ("GET", "/v1/policy/hits?group=web") => json(200, HITS),
        ("GET", "/v1/policy/hits") => json(200, "[]"),
        (
            "GET",
            "/v1/security-groups"
            | "/v1/subnets"
            | "/v1/ports"
            | "/v1/remotes"
            | "/v1/peerings"
            | "/v1/peer-groups"
            | "/v1/peers",
        ) => json(200, "[]"),
        ("GET", "/v1/security-groups/web") => json(200, GROUP),
        ("GET", "/v1/networks/red") => json(200, &STORED[1..STORED.len() - 1]),
        ("POST", "/v1/apply?dry_run=true" | "/v1/delete?dry_run=true") => json(200, PLAN),
        ("POST", "/v1/ports/web/attach") => json(200, FAILED),
        ("POST", "/v1/apply") => json(
            422,
            r#"{"errors":[{"object":"network/red","field":"vni","message":"VNI 5000 is taken by network/blue"}]}"#,
        ),
        ("POST", "/v1/teardown") => json(200, r#"["link weft0"]"#),
        ("GET", "/v1/counters") => json(
            200,
            r#"[{"port":"web","from_port":{"packets":1,"bytes":2},"to_port":{"packets":3,"bytes":4},"drops":{}}]"#,
        ),
        ("GET", "/v1/watch?since=7") => {
            let line = r#"{"revision":8,"action":"delete","resource":{"kind":"network","name":"red","tenant":"acme","vni":5000}}"#;
            stream(&[line], true)
        }
        ("GET", "/v1/bgp/rib?in=rr-1&family=evpn&network=red") => json(
            200,
            r#"[{"family":"evpn","route":"[2]:x","paths":[{"peer":"rr-1","next_hop":"192.0.2.2","attributes":[],"best":true,"valid":true,"stale":false}]}]"#,
        ),
        ("GET", "/v1/bgp/explain?address=10.9.0.0%2F16&network=red") => {
            json(200, r#"[{"subject":"10.9.0.0/16","network":"red","candidates":[]}]"#)
        }
        ("GET", "/v1/bgp/summary") => {
            json(409, r#"{"errors":[{"object":"bgp","message":"this host speaks no BGP"}]}"#)
        }
        ("POST", "/v1/bgp/clear") => json(200, r#"["rr-1"]"#),
        _ => json(404, r#"{"errors":[{"object":"network/blue","message":"no such network"}]}"#),
    }
}

fn weft(socket: &Path, args: &[&str], input: &str) -> Output {
    run(Path::new(env!("CARGO_BIN_EXE_weft")), socket, args, input)
}

fn run(program: &Path, socket: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .env("WEFT_SOCKET", socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("weft runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads no input may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("weft ends")
}

#[track_caller]
fn expect(output: &Output, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn get_in_every_format() {
    let server = Server::start("get", answer);
    let socket = server.socket();
    let table = "NAME  TENANT  VNI   REVISION\nred   acme    5000  7\n";
    expect(&weft(&socket, &["get", "networks"], ""), 0, table, "");
    expect(&weft(&socket, &["get", "net", "red"], ""), 0, table, "");
    expect(&weft(&socket, &["get", "all"], ""), 0, &format!("NETWORKS\n{table}"), "");
    assert_eq!(weft(&socket, &["get", "all", "red"], "").status.code(), Some(2));
    let output = weft(&socket, &["get", "network", "-o", "json"], "");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value, serde_json::from_str::<serde_json::Value>(STORED).expect("JSON"));
    let yaml = "---\nkind: network\nname: red\nrevision: 7\ntenant: acme\nvni: 5000\n";
    expect(&weft(&socket, &["--output=yaml", "get", "networks"], ""), 0, yaml, "");
}

#[test]
fn a_security_group_with_its_rules_and_members() {
    let server = Server::start("sg", |request| match request.target.as_str() {
        "/v1/ports" => json(
            200,
            r#"[{"kind":"port","name":"web-1","subnet":"a","security_groups":["web"],"revision":1},{"kind":"port","name":"db","subnet":"a","revision":1}]"#,
        ),
        _ => answer(request),
    });
    let socket = server.socket();
    let text = "security-group/web of tenant acme, id 7, revision 7\nports here: web-1\n\n\
                RULE  DIRECTION  PRIORITY  ACTION  PROTOCOL  SERVICE  PEER         HITS  DESCRIPTION\n\
                1     ingress    7         deny    any       -        10.6.0.0/16  0     -\n\
                0     ingress    1000      allow   tcp       80       any          12    -\n";
    expect(&weft(&socket, &["sg", "get", "web"], ""), 0, text, "");
    expect(&weft(&socket, &["sg", "get"], ""), 0, "no security group is stored\n", "");
    expect(&weft(&socket, &["get", "sg"], ""), 0, "NAME  TENANT  ID  RULES  REVISION\n", "");
    let output = weft(&socket, &["sg", "get", "web", "-o", "json"], "");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value, serde_json::from_str::<serde_json::Value>(GROUP).expect("JSON"));
}

#[test]
fn security_groups_are_applied_and_nothing_else() {
    let server = Server::start("sg-apply", answer);
    let socket = server.socket();
    // What `sg get -o json` prints can be applied.
    let output = weft(&socket, &["sg", "apply", "-f", "-", "--dry-run"], GROUP);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(server.request().body, format!("[{}]", GROUP.replace(",\"revision\":7", "")));
    let input = format!("kind: security-group\nname: web\ntenant: acme\nid: 7\n---\n{NETWORK}");
    let output = weft(&socket, &["sg", "apply", "-f", "-"], &input);
    let error = "error: network/red at stdin:6:1 (document 2): it is no security group; apply it with `weft apply`, which \
                 takes every kind\n";
    expect(&output, 1, "", error);
    assert!(server.is_idle());
}

#[test]
fn a_resource_that_is_not_there() {
    let server = Server::start("missing", answer);
    let socket = server.socket();
    let output = weft(&socket, &["get", "network", "blue"], "");
    expect(&output, 1, "", "error: network/blue: no such network\n");
    let output = weft(&socket, &["get", "network", "blue", "-o", "json"], "");
    expect(&output, 1, "", "{\"errors\":[{\"object\":\"network/blue\",\"message\":\"no such network\"}]}\n");
}

#[test]
fn a_dry_run_shows_the_plan() {
    let server = Server::start("dry-run", answer);
    let plan = "+ create network/red\nkernel:\n  add VNI 5000\ndry run, nothing was changed: 1 to create\n";
    let output = weft(&server.socket(), &["apply", "-f", "-", "--dry-run"], NETWORK);
    expect(&output, 0, plan, "");
    assert_eq!(server.request().body, format!("[{NETWORK_JSON}]"));
    // What `get -o json` prints can be applied.
    let output = weft(&server.socket(), &["apply", "-f", "-", "--dry-run"], STORED);
    expect(&output, 0, plan, "");
    assert_eq!(server.request().body, format!("[{NETWORK_JSON}]"));
    let output = weft(&server.socket(), &["delete", "net", "red", "blue", "--dry-run"], "");
    assert_eq!(output.status.code(), Some(0));
    let body = r#"[{"kind":"network","name":"red"},{"kind":"network","name":"blue"}]"#;
    assert_eq!(server.request().body, body);
}

#[test]
fn a_refusal_points_into_the_file() {
    let server = Server::start("refused", answer);
    let folder = server.folder().join("tenants");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("red.yaml"), format!("# acme\n{NETWORK}")).expect("a file");
    fs::write(folder.join("notes.txt"), "not for weft").expect("a file");
    let folder = folder.to_str().expect("UTF-8");
    let output = weft(&server.socket(), &["apply", "-f", folder], "");
    let error = format!(
        "error: network/red at {folder}/red.yaml:5:6 (document 1): VNI 5000 is taken by network/blue\n"
    );
    expect(&output, 1, "", &error);
}

#[test]
fn bad_input_is_never_sent() {
    let server = Server::start("bad-input", answer);
    let input = format!("{NETWORK}colour: red\n---\nkind: vpc\nname: x\n");
    let output = weft(&server.socket(), &["apply", "-f", "-"], &input);
    let error = "error: network/red at stdin:5:1 (document 1): colour: unknown field; known here: name, tenant, vni, \
                 default_ingress, default_egress, route_targets, route_distinguisher\n\
                 error: vpc/x at stdin:7:7 (document 2): unknown kind `vpc`; the kinds are network, security-group, subnet, port, \
                 remote, peering, peer-group and peer\n";
    expect(&output, 1, "", error);
    let output = weft(&server.socket(), &["apply", "-f", "-"], "");
    let error = "error: input: no resource in stdin: expected documents with `kind`, `name` and the fields of the \
                 kind\n";
    expect(&output, 1, "", error);
    let output = weft(&server.socket(), &["apply", "-f", "/nonexistent.yaml"], "");
    expect(&output, 1, "", "error: /nonexistent.yaml: No such file or directory (os error 2)\n");
    assert!(server.is_idle());
}

#[test]
fn what_the_kernel_refused_fails_the_command() {
    let server = Server::start("kernel", answer);
    let output = weft(&server.socket(), &["port", "attach", "web", "--netns", "web-1"], "");
    expect(
        &output,
        1,
        "~ replace port/web\nrevision 8: 1 replaced\n",
        "error: kernel: port/web: no such namespace\nerror: stored, but not yet in the kernel; weftd tries again, \
         and `weft status` tells how it stands\n",
    );
    assert_eq!(server.request().body, r#"{"netns":"/run/netns/web-1","device":"eth0"}"#);
}

#[test]
fn status_and_version() {
    let server = Server::start("status", answer);
    let output = weft(&server.socket(), &["status"], "");
    let text = "host       h1\nweftd      0.1.0 (kernel contract 1, tcx), up 5s\n\
                underlay   eth1, VTEP 192.0.2.1, router MAC 02:00:c0:00:02:01\n\
                resources  network 1 (revision 7)\nkernel     as desired, checked 4s ago\n";
    expect(&output, 0, text, "");
    expect(&weft(&server.socket(), &["status", "--check"], ""), 0, text, "");
    let output = weft(&server.socket(), &["version", "-o", "json"], "");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["weftd"], "0.1.0");
}

#[test]
fn a_monitor_learns_of_a_failure() {
    let status = STATUS.replace(r#""failures":[]"#, r#""failures":["port web: no such namespace"]"#);
    let server = Server::start("check", move |_| json(200, &status));
    assert_eq!(weft(&server.socket(), &["status"], "").status.code(), Some(0));
    let output = weft(&server.socket(), &["status", "--check"], "");
    assert_eq!(output.status.code(), Some(1));
    let error = "error: the kernel is not as desired: 1 failure; no port is failed\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
    assert!(String::from_utf8_lossy(&output.stdout).contains("port web: no such namespace"));
}

#[test]
fn counters_of_one_port() {
    let server = Server::start("counters", answer);
    let output = weft(&server.socket(), &["counters", "--port", "web"], "");
    let table = "PORT  SENT  BYTES  RECEIVED  BYTES  DROPPED  REASONS  NOISE\nweb   1     2      3         4      0        -        0\n";
    expect(&output, 0, table, "");
    let output = weft(&server.socket(), &["counters", "--port", "db"], "");
    expect(&output, 1, "", "error: port/db: no counters: `weft get ports` lists this host's ports\n");
}

#[test]
fn a_watch_that_the_daemon_ends() {
    let server = Server::start("watch", answer);
    let output = weft(&server.socket(), &["watch", "--since", "7"], "");
    let error = "error: weftd ended the stream: the last revision seen is 8; watch again with `weft watch --since 8`\n";
    expect(&output, 1, "8         delete   network/red\n", error);
}

#[test]
fn a_watch_whose_daemon_dies() {
    let server = Server::start("watch-dies", |request| match request.target.as_str() {
        "/v1/watch?since=7" => stream(&[], false),
        _ => answer(request),
    });
    let output = weft(&server.socket(), &["watch"], "");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("error: no more from weftd ("), "{error}");
    assert!(
        error.ends_with("the last revision seen is 7; watch again with `weft watch --since 7`\n"),
        "{error}"
    );
}

#[test]
fn exit_status_of_a_wrong_command_line_and_of_no_daemon() {
    let nowhere = Path::new("/nonexistent/weftd.sock");
    for args in
        [&["get", "vpcs"][..], &["delete"], &["delete", "port"], &["apply"], &["teardown"], &["status", "x"]]
    {
        assert_eq!(weft(nowhere, args, "").status.code(), Some(2), "{args:?}");
    }
    for args in
        [&["get", "ports"][..], &["status"], &["watch"], &["counters", "--watch"], &["port", "detach", "x"]]
    {
        let output = weft(nowhere, args, "");
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("error: weftd cannot be reached at /nonexistent/weftd.sock: "), "{error}");
    }
}

#[test]
fn teardown_by_the_daemon_or_by_its_program() {
    let server = Server::start("teardown", answer);
    expect(&weft(&server.socket(), &["teardown", "--yes"], ""), 0, "link weft0\n", "");

    // Installed side by side, so that the program finds this weftd whatever PATH says. Links, since a file that was
    // just written cannot be run while another thread's child still has it open.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("teardown-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (weft, weftd) = (folder.join("weft"), folder.join("weftd"));
    fs::hard_link(env!("CARGO_BIN_EXE_weft"), &weft).expect("a link");
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/weftd-stand-in.sh"), &weftd).expect("a link");
    let nowhere = server.folder().join("nowhere.sock");
    let said = |config| {
        format!("nobody answers on {}; running weftd teardown --config {config}\n", nowhere.display())
    };
    let output = run(&weft, &nowhere, &["teardown", "--yes", "--purge", "--config", "my.toml"], "");
    expect(&output, 0, "called with teardown --config my.toml --purge\n", &said("my.toml"));
    let output = run(&weft, &nowhere, &["teardown", "--yes", "--config", "bad.toml"], "");
    let error = format!("error: {} teardown --config bad.toml: exit status: 1\n", weftd.display());
    expect(&output, 1, "", &(said("bad.toml") + &error));

    // Whoever names a weftd by its socket does not mean the one of the default configuration.
    let output = run(&weft, &nowhere, &["teardown", "--yes"], "");
    let error = format!(
        "error: nobody answers on {}; nothing was removed\n  to do it without weftd, name the configuration of the \
         weftd that used this socket with --config\n",
        nowhere.display()
    );
    expect(&output, 3, "", &error);
    let output = run(&weft, &server.socket(), &["teardown", "--yes", "--purge"], "");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("name that weftd's with --config"), "{error}");
    fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn completion_and_help() {
    let nowhere = Path::new("/nonexistent");
    for shell in ["bash", "zsh", "fish"] {
        let output = weft(nowhere, &["completion", shell], "");
        assert!(output.status.success() && output.stdout.len() > 1000, "{shell}");
    }
    let output = weft(nowhere, &["--help"], "");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("Exit status:") && help.contains("Examples:"), "{help}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let server = Server::start("pipe", answer);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["get", "networks"])
        .env("WEFT_SOCKET", server.socket())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("weft runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn questions_about_bgp() {
    let server = Server::start("bgp", answer);
    let socket = server.socket();
    let output = weft(&socket, &["bgp", "rib", "--in", "rr-1", "--family", "evpn", "--network", "red"], "");
    let table = "FAMILY  ROUTE  STATUS  FROM  NEXT HOP   LABELS  ATTRIBUTES  WHY NOT BEST\n\
                 evpn    [2]:x  best    rr-1  192.0.2.2  -       -           -\n";
    expect(&output, 0, table, "");
    assert_eq!(weft(&socket, &["bgp", "rib", "--in", "a", "--out", "b"], "").status.code(), Some(2));
    let output = weft(&socket, &["bgp", "explain", "10.9.0.0/16", "--network", "red"], "");
    expect(&output, 0, "10.9.0.0/16 in network/red: nobody has it\n", "");
    let output = weft(&socket, &["bgp", "summary"], "");
    expect(&output, 1, "", "error: bgp: this host speaks no BGP\n");
}

#[test]
fn sessions_are_cleared() {
    let server = Server::start("bgp-clear", answer);
    let output = weft(&server.socket(), &["bgp", "clear", "rr-1", "--soft"], "");
    expect(&output, 0, "rr-1: routes are exchanged anew\n", "");
    assert_eq!(server.request().body, r#"{"peer":"rr-1","soft":true}"#);
    let output = weft(&server.socket(), &["bgp", "clear", "-o", "json"], "");
    expect(&output, 0, "[\n  \"rr-1\"\n]\n", "");
    assert_eq!(server.request().body, r#"{"soft":false}"#);
}
