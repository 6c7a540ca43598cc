//! Client versions, which determine the form of answers.

/// A client's version, from `clientversioncode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientVersion {
    /// The published answers, key for key.
    V3,
    /// The published answers with additional fields and frames.
    V4,
}

impl ClientVersion {
    /// The version for a `clientversioncode`. If that is absent, the oldest one.
    #[must_use]
    pub fn of_code(code: Option<i64>) -> Self {
        // Later ones, too: future clients will still understand what version 4 added.
        if code.is_some_and(|code| code >= 4) {
            Self::V4
        } else {
            Self::V3
        }
    }

    /// The `clientversioncode` of this version.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    /// Returns `true` if the client understands fields and frames beyond the published ones.
    #[must_use]
    pub fn is_v4(self) -> bool {
        self == Self::V4
    }
}
