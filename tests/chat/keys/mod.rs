//! Cards: who has which keys, who sees them, and the log of all of them.

mod log;
mod publish;
mod see;
