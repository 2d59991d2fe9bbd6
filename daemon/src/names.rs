//! What the kernel's numbers are called: ports by their interface index, networks and subnets by their VNI, and rules by
//! where they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_api::view::security::RuleReference;
use weft_dataplane::PortState;
use weft_policy::Rule;
use weft_vxlan::Vni;

use crate::model::Model;

/// Names by number, of the model that the kernel follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// What is intended.
    pub model: Arc<Model>,
    ports: BTreeMap<u32, String>,
    networks: BTreeMap<Vni, String>,
    /// With the name of the network.
    subnets: BTreeMap<Vni, (String, String)>,
}

impl Names {
    /// The names of a model, and of the ports as the kernel has them.
    #[must_use]
    pub fn of(model: Arc<Model>, ports: &BTreeMap<String, PortState>) -> Self {
        let networks = model.networks.iter().map(|(name, network)| (network.vni, name.clone()));
        let subnets =
            model.subnets.iter().map(|(name, subnet)| (subnet.vni, (name.clone(), subnet.network.clone())));
        Self {
            ports: ports.iter().map(|(name, state)| (state.ifindex, name.clone())).collect(),
            networks: networks.collect(),
            subnets: subnets.collect(),
            model,
        }
    }

    /// The port whose host end has this index.
    #[must_use]
    pub fn port(&self, ifindex: u32) -> Option<&str> {
        self.ports.get(&ifindex).map(String::as_str)
    }

    /// The network with this L3 VNI.
    #[must_use]
    pub fn network(&self, vni: Vni) -> Option<String> {
        self.networks.get(&vni).cloned()
    }

    /// The subnet with this L2 VNI, and its network.
    #[must_use]
    pub fn subnet(&self, vni: Vni) -> Option<(String, String)> {
        self.subnets.get(&vni).cloned()
    }

    /// The network of a port.
    #[must_use]
    pub fn network_of(&self, port: &str) -> Option<&str> {
        let subnet = self.model.subnets.get(&self.model.ports.get(port)?.subnet)?;
        Some(&subnet.network)
    }

    /// Who owns that.
    #[must_use]
    pub fn tenant_of(&self, port: &str) -> Option<&str> {
        self.model.tenant_of(self.model.ports.get(port)?)
    }

    /// Where rules are written that a port has from its groups: of groups that repeat a rule, the first. Those that it does
    /// not have are missing.
    #[must_use]
    pub fn rules_of(&self, port: &str, wanted: &BTreeSet<Rule>) -> BTreeMap<Rule, RuleReference> {
        let groups =
            self.model.ports.get(port).map(|port| port.security_groups.as_slice()).unwrap_or_default();
        let mut found = BTreeMap::new();
        for group in groups.iter().collect::<BTreeSet<_>>() {
            for (rule, index) in self.places_in(group, wanted) {
                found.entry(rule).or_insert_with(|| self.reference(group, index));
            }
            if found.len() == wanted.len() {
                break;
            }
        }
        found
    }

    /// Where in a group rules are written.
    #[must_use]
    pub fn places_in(&self, group: &str, wanted: &BTreeSet<Rule>) -> Vec<(Rule, usize)> {
        let rules = self.model.security_groups.get(group).map(|group| group.rules.rules.as_slice());
        let numbered = rules.unwrap_or_default().iter().enumerate();
        numbered.filter(|(_, rule)| wanted.contains(rule)).map(|(index, rule)| (*rule, index)).collect()
    }

    /// A rule of a group, as it is shown.
    #[must_use]
    pub fn reference(&self, group: &str, index: usize) -> RuleReference {
        let given = self.model.security_groups.get(group).and_then(|group| group.given.rules.get(index));
        let description = given.and_then(|rule| rule.description.clone());
        RuleReference { group: group.to_owned(), index, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{host, intent};

    #[test]
    fn a_rule_is_called_by_the_first_place_where_it_is_written() {
        let intent = intent(&[
            r#"{"kind":"network","name":"red","tenant":"red","vni":5000}"#,
            r#"{"kind":"subnet","name":"red-a","network":"red","vni":5001,"ipv4":"10.0.0.0/24"}"#,
            r#"{"kind":"security-group","name":"b","tenant":"red","id":1,"rules":[
                {"direction":"ingress","protocol":"udp","ports":53},
                {"direction":"ingress","protocol":"tcp","ports":443,"description":"https"}]}"#,
            r#"{"kind":"security-group","name":"a","tenant":"red","id":2,"rules":[
                {"direction":"ingress","protocol":"tcp","ports":80},
                {"direction":"ingress","protocol":"tcp","ports":443}]}"#,
            r#"{"kind":"port","name":"web","subnet":"red-a","security_groups":["b","a"]}"#,
        ]);
        let model = Arc::new(Model::build(&intent, &host(), &[]).unwrap());
        let names = Names::of(Arc::clone(&model), &BTreeMap::new());
        let rule = |group: &str, index: usize| model.security_groups[group].rules.rules[index];
        let wanted = [rule("b", 0), rule("b", 1)].into();
        let found = names.rules_of("web", &wanted);
        let called = |rule: Rule| found[&rule].to_string();
        assert_eq!((called(rule("b", 0)), called(rule("b", 1))), ("b rule 0".into(), "a rule 1".into()));
        assert_eq!(names.reference("b", 1).to_string(), "b rule 1 (https)");
        assert!(names.rules_of("gone", &wanted).is_empty());
    }
}
