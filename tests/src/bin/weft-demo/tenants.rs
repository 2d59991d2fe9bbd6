//! Who the tenants are and where their workloads run.

use anyhow::Result;
use weft_tests::cloud::Intent;

/// Tenants, with the VNIs of their networks.
pub(crate) const TENANTS: [(&str, u32); 2] = [("red", 100), ("blue", 200)];

/// The one workload whose address the other tenant has not.
pub(crate) const ONLY_RED: &str = "red-6";

/// Each tenant: two workloads on h1, one on h2 and one on h3 in subnet a; one on h4 in subnet b.
pub(crate) fn intent() -> Result<Intent> {
    let mut intent = Intent::default();
    for (tenant, vni) in TENANTS {
        let name = |rest: &str| format!("{tenant}-{rest}");
        let (a, b) = (name("a"), name("b"));
        intent = intent
            .tenant(tenant, vni)?
            .pod(&name("1"), &a, 0, 11)?
            .pod(&name("2"), &a, 0, 12)?
            .pod(&name("3"), &a, 1, 13)?
            .pod(&name("4"), &a, 2, 14)?
            .pod(&name("5"), &b, 3, 15)?;
    }
    intent.pod(ONLY_RED, "red-a", 1, 16)
}
