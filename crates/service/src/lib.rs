//! What the three services share: arguments (`args.rs`), logs (`logging.rs`), Ctrl+C (`signals.rs`),
//! printing in bulk (`output.rs`), JSON (`json.rs`), words (`text.rs`), and what to do about an error
//! (`hint.rs`). `run.rs` puts them around a service, and ends the process.

mod args;
mod hint;
mod json;
mod logging;
mod output;
mod run;
mod signals;
mod text;

pub use args::{RedisArgs, ShardedArgs};
pub use hint::hint;
pub use json::json;
pub use output::Output;
pub use run::run;
pub use signals::{is_shutting_down, shutdown};
pub use text::{channels, plural, quoted};
