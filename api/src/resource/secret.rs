//! A text that is stored and used, and never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password. Debug output has no word of it; what is told to users is [`Secret::masked`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands in the place of a secret when it is read. Written back, it means the one that is stored.
const MASK: &str = "********";

impl Secret {
    /// The secret itself, for whoever needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is shown instead.
    #[must_use]
    pub fn masked() -> Self {
        Self(MASK.to_owned())
    }

    /// Whether this is what is shown, and no secret.
    #[must_use]
    pub fn is_mask(&self) -> bool {
        self.0 == MASK
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_printed() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{secret:?}"), "********");
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!secret.is_mask() && Secret::masked().is_mask());
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }
}
