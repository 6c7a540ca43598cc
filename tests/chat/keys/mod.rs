//! Cards: the keys of users, who may see them, and the log of all of them.

mod log;
mod publish;
mod see;
