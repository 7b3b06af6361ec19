//! What any of the three services needs around its own few lines: arguments (`args.rs`), logs
//! (`logging.rs`), Ctrl+C (`signals.rs`), and printing, which is harder than it looks
//! (`output.rs`, `text.rs`, `json.rs`). `run.rs` puts them around a service.

mod args;
mod hint;
mod json;
mod logging;
mod output;
mod run;
mod signals;
mod text;

pub use args::RedisArgs;
pub use hint::hint;
pub use json::json;
pub use output::Output;
pub use run::run;
pub use signals::Shutdown;
pub use text::{channels, plural, quoted, text};
