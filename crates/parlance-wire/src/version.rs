//! Client versions, on which the form of answers depends.

/// A client's version, as `clientversioncode` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientVersion {
    /// The published answers, key for key.
    V3,
    /// With the fields and frames beyond the published ones.
    V4,
}

impl ClientVersion {
    /// The version that a `clientversioncode` stands for. One that is absent counts as the oldest.
    #[must_use]
    pub fn of_code(code: Option<i64>) -> Self {
        // Later ones, too: a client of the future still understands what version 4 added.
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

    /// Returns `true` when the client understands fields and frames beyond the published ones.
    #[must_use]
    pub fn is_v4(self) -> bool {
        self == Self::V4
    }
}
