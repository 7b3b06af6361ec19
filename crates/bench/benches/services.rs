//! `cargo bench`: the services measured beside others. `cargo bench -- --help` says more.

fn main() -> std::process::ExitCode {
    bench::main(env!("CARGO_TARGET_TMPDIR"))
}
