//! `cargo bench`: measures the services beside other programs. See `cargo bench -- --help`.

fn main() -> std::process::ExitCode {
    bench::main(env!("CARGO_TARGET_TMPDIR"))
}
