//! Session settings that the statements rely on, set by each session itself, because a role or a
//! database may have preset anything else. The library sets time zone, date style, encoding and the
//! precision of floats.

/// Settings of every session.
pub(super) const SESSION: [(&str, &str); 15] = [
    // An object of the same name in another schema is never meant.
    ("search_path", "public"),
    // A statement that waited for a lock has to see the row as it then is; with stricter isolation
    // it would fail.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    // Whatever was answered OK is on disk.
    ("synchronous_commit", "on"),
    // The pool keeps idle connections for minutes, and pings them itself.
    ("idle_session_timeout", "0"),
    // A refused row is an outcome, and must not end the session.
    ("exit_on_error", "off"),
    ("row_security", "on"),
    // How literals are parsed and values are written.
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("intervalstyle", "postgres"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
];

/// Settings of a session that answers requests, other than its timeouts (`DatabaseTimings`).
pub(super) const REQUEST_SESSION: [(&str, &str); 5] = [
    // A node that froze in the middle of a transaction must not keep its locks.
    ("idle_in_transaction_session_timeout", "15s"),
    // Each statement is planned once per connection. PostgreSQL would plan the larger ones again
    // for each call, which cost more than everything else (BENCHMARKS.md).
    ("plan_cache_mode", "force_generic_plan"),
    // A plan that was made while a table was small must still be good when it is large, so it has
    // to use an index.
    ("enable_seqscan", "off"),
    // Compilation pays off for statements that run for seconds; these run for less than a
    // millisecond.
    ("jit", "off"),
    // What files leave in the system's cache is written as it comes. A checkpoint that syncs hundreds of
    // megabytes at once holds up every commit for half a second (BENCHMARKS.md, Files).
    ("backend_flush_after", "256kB"),
];

/// Settings of a session that reads whole tables, and may take its time.
pub(super) const MAINTENANCE_SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("enable_seqscan", "on"),
    ("plan_cache_mode", "auto"),
];

/// The settings for PostgreSQL's own programs, as a value of `PGOPTIONS`.
#[must_use]
pub fn session_options() -> String {
    let options = SESSION
        .iter()
        .chain(&MAINTENANCE_SESSION)
        .map(|(name, value)| format!("-c {name}={}", value.replace(' ', r"\ ")));
    options.collect::<Vec<_>>().join(" ")
}
