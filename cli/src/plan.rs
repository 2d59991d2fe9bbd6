//! What a change does, or would do on a dry run.

use weft_api::view::{Action, Outcome, ResourceChange};

use crate::exit::Failure;
use crate::output::Output;

/// Prints an outcome; what the kernel refused makes the command fail.
pub(crate) fn print(output: &mut Output, outcome: &Outcome) -> anyhow::Result<()> {
    output.print(outcome, render)?;
    if outcome.failures.is_empty() { Ok(()) } else { Err(Failure::Kernel(outcome.failures.clone()).into()) }
}

fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    for ResourceChange { action, resource } in &outcome.resources {
        let (sign, verb) = words(*action);
        text.push_str(&format!("{sign} {verb} {resource}\n"));
    }
    if !outcome.kernel.is_empty() {
        text.push_str("kernel:\n");
        text.extend(outcome.kernel.iter().map(|change| format!("  {change}\n")));
    }
    text + &summary(outcome) + "\n"
}

const fn words(action: Action) -> (char, &'static str) {
    match action {
        Action::Create => ('+', "create"),
        Action::Replace => ('~', "replace"),
        Action::Delete => ('-', "delete"),
        Action::Unchanged => ('=', "unchanged"),
    }
}

fn summary(outcome: &Outcome) -> String {
    let count =
        |action| outcome.resources.iter().filter(|change: &&ResourceChange| change.action == action).count();
    let counts = [
        (count(Action::Create), "to create", "created"),
        (count(Action::Replace), "to replace", "replaced"),
        (count(Action::Delete), "to delete", "deleted"),
        (count(Action::Unchanged), "unchanged", "unchanged"),
    ];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, plan, done)| format!("{count} {}", if outcome.dry_run { plan } else { done }))
        .collect();
    let counts = if counts.is_empty() { "no resource concerned".to_owned() } else { counts.join(", ") };
    if outcome.dry_run {
        format!("dry run, nothing was changed: {counts}")
    } else {
        format!("revision {}: {counts}", outcome.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(dry_run: bool) -> Outcome {
        let change = |action, resource: &str| ResourceChange { action, resource: resource.to_owned() };
        Outcome {
            dry_run,
            revision: 12,
            resources: vec![
                change(Action::Create, "subnet/red-a"),
                change(Action::Replace, "network/red"),
                change(Action::Delete, "port/web"),
                change(Action::Unchanged, "port/db"),
            ],
            kernel: vec!["add VNI 5001".to_owned()],
            failures: Vec::new(),
        }
    }

    #[test]
    fn a_plan_and_a_change() {
        assert_eq!(
            render(&outcome(true)),
            "+ create subnet/red-a\n~ replace network/red\n- delete port/web\n= unchanged port/db\n\
             kernel:\n  add VNI 5001\n\
             dry run, nothing was changed: 1 to create, 1 to replace, 1 to delete, 1 unchanged\n"
        );
        assert!(
            render(&outcome(false)).ends_with("revision 12: 1 created, 1 replaced, 1 deleted, 1 unchanged\n")
        );
        let nothing = Outcome { resources: Vec::new(), kernel: Vec::new(), ..outcome(false) };
        assert_eq!(render(&nothing), "revision 12: no resource concerned\n");
    }
}
