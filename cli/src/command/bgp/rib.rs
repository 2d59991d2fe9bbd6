//! Routes, a line for each path.

use weft_api::view::bgp::{RibPath, RibRoute};

use crate::output::table::{Table, joined, or_dash};

pub(super) fn render(routes: &[RibRoute]) -> String {
    let mut table =
        Table::new(["FAMILY", "ROUTE", "STATUS", "FROM", "NEXT HOP", "LABELS", "ATTRIBUTES", "WHY NOT BEST"]);
    for route in routes {
        for path in &route.paths {
            let from = path.peer.as_deref().unwrap_or("this host").to_owned();
            table.row([
                route.family.clone(),
                route.route.clone(),
                status(path),
                from,
                path.next_hop.to_string(),
                joined(&path.labels),
                joined(&path.attributes),
                or_dash(path.reason.as_ref()),
            ]);
        }
    }
    table.to_string()
}

fn status(path: &RibPath) -> String {
    let word = match (path.best, path.valid) {
        (true, _) => "best",
        (false, true) => "valid",
        (false, false) => "rejected",
    };
    if path.stale { format!("{word}, stale") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_path() {
        let routes: Vec<RibRoute> = serde_json::from_str(
            r#"[{"family":"evpn","route":"[3]:[0]:[32]:[192.0.2.2] RD 192.0.2.2:5001","paths":[
                {"peer":"rr-1","next_hop":"192.0.2.2","labels":[5001],"attributes":["origin igp","rt 65000:5001"],
                 "best":true,"valid":true,"stale":true},
                {"next_hop":"192.0.2.1","attributes":[],"best":false,"valid":true,"stale":false,
                 "reason":"another has a lower router identifier"},
                {"peer":"rr-2","next_hop":"192.0.2.2","attributes":[],"best":false,"valid":false,"stale":false,
                 "reason":"it is a loop"}]}]"#,
        )
        .unwrap();
        assert_eq!(
            render(&routes),
            "FAMILY  ROUTE                                       STATUS       FROM       NEXT HOP   LABELS  \
             ATTRIBUTES                 WHY NOT BEST\n\
             evpn    [3]:[0]:[32]:[192.0.2.2] RD 192.0.2.2:5001  best, stale  rr-1       192.0.2.2  5001    origin \
             igp, rt 65000:5001  -\n\
             evpn    [3]:[0]:[32]:[192.0.2.2] RD 192.0.2.2:5001  valid        this host  192.0.2.1  -       \
             -                          another has a lower router identifier\n\
             evpn    [3]:[0]:[32]:[192.0.2.2] RD 192.0.2.2:5001  rejected     rr-2       192.0.2.2  -       \
             -                          it is a loop\n"
        );
    }
}
