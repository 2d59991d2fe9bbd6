//! Why an address is where it is: everything that has it, network by network.

use weft_api::view::bgp::{CandidateSource, Explanation};

use crate::output::table::{Table, joined};

pub(super) fn render(explanations: &[Explanation]) -> String {
    if explanations.is_empty() {
        return "nobody has it\n".to_owned();
    }
    explanations.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(explanation: &Explanation) -> String {
    let subnet = explanation.subnet.as_ref().map(|subnet| format!(", subnet/{subnet}")).unwrap_or_default();
    let head = format!("{} in network/{}{subnet}", explanation.subject, explanation.network);
    if explanation.candidates.is_empty() {
        return format!("{head}: nobody has it\n");
    }
    let mut table = Table::new(["VERDICT", "WHO", "VTEPS", "WHY"]);
    for candidate in &explanation.candidates {
        let who = match &candidate.source {
            CandidateSource::Port(name) => format!("port/{name}"),
            CandidateSource::Own => "this host".to_owned(),
            CandidateSource::Route { route, peer } => format!("{route} from {peer}"),
        };
        table.row([candidate.verdict.to_string(), who, joined(&candidate.vteps), candidate.reason.clone()]);
    }
    format!("{head}\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_network_by_network() {
        let explanations: Vec<Explanation> = serde_json::from_str(
            r#"[{"subject":"10.0.0.9","network":"blue","candidates":[]},
                {"subject":"02:00:00:00:00:09","network":"red","subnet":"red-a","candidates":[
                 {"source":{"port":"web-1"},"vteps":["192.0.2.1"],"verdict":"used","reason":"it is used"},
                 {"source":"own","vteps":[],"verdict":"not-usable","reason":"no"},
                 {"source":{"route":{"route":"[2]:…","peer":"rr-1"}},"vteps":["192.0.2.2"],"verdict":"lost",
                  "reason":"it moved"}]}]"#,
        )
        .unwrap();
        assert_eq!(
            render(&explanations),
            "10.0.0.9 in network/blue: nobody has it\n\
             \n\
             02:00:00:00:00:09 in network/red, subnet/red-a\n\
             VERDICT     WHO              VTEPS      WHY\n\
             used        port/web-1       192.0.2.1  it is used\n\
             not-usable  this host        -          no\n\
             lost        [2]:… from rr-1  192.0.2.2  it moved\n"
        );
        assert_eq!(render(&[]), "nobody has it\n");
    }
}
