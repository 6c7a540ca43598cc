//! What statements rely on, set by each session itself: a role or a database may have preset anything else. The
//! library sets time zone, date style, encoding, and how exact numbers are.

/// Of every session.
pub(super) const SESSION: [(&str, &str); 15] = [
    // An object of the same name in another schema is never meant.
    ("search_path", "public"),
    // A statement that waited for a lock sees the row as it is by then: elsewhere it would be refused.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    // What was answered OK is on the disk.
    ("synchronous_commit", "on"),
    // The pool keeps idle connections for minutes, and pings them itself.
    ("idle_session_timeout", "0"),
    // A refused row is an answer, and not the end of the session.
    ("exit_on_error", "off"),
    ("row_security", "on"),
    // How literals are read, and values written.
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("intervalstyle", "postgres"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
];

/// Of a session that answers requests.
pub(super) const REQUEST_SESSION: [(&str, &str); 6] = [
    // No request needs longer; a statement that takes it is stopped rather than left to pile up.
    ("statement_timeout", "10s"),
    // Nor does any hold a lock for long: a longer wait means that somebody holds it at a psql prompt.
    ("lock_timeout", "3s"),
    // A node that froze in the middle of a transaction does not keep its locks.
    ("idle_in_transaction_session_timeout", "15s"),
    // Each statement is planned once per connection. PostgreSQL would plan the larger ones anew for each call, which
    // cost it more than all else (BENCHMARKS.md).
    ("plan_cache_mode", "force_generic_plan"),
    // A plan that was made while a table was small must be good when it is not: by index, always.
    ("enable_seqscan", "off"),
    // Compiling pays for statements that run for seconds; ours run for less than a millisecond.
    ("jit", "off"),
];

/// Of a session that looks at whole tables, and may take its time.
pub(super) const MAINTENANCE_SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("enable_seqscan", "on"),
    ("plan_cache_mode", "auto"),
];

/// The settings for PostgreSQL's own programs, in the form of `PGOPTIONS`.
#[must_use]
pub fn session_options() -> String {
    let options = SESSION
        .iter()
        .chain(&MAINTENANCE_SESSION)
        .map(|(name, value)| format!("-c {name}={}", value.replace(' ', r"\ ")));
    options.collect::<Vec<_>>().join(" ")
}
