//! The commands of the pages, as a test runs them.

/// Shell functions that replace the commands of the pages: programs start without cargo, on the
/// section's own Redis.
pub(crate) const SHELL: &str = r#"
cargo() {
  case "$*" in
    "run -qp lessons --example "* | "run -qp redis-pubsub-client --example "*)
      program=$EXAMPLES/$5; shift 5
      if [ "${1-}" = -- ]; then shift; fi
      exec "$program" "$@" ;;
    "run -qp "*)
      program=$BINARIES/$3; shift 3
      if [ "${1-}" = -- ]; then shift; fi
      exec "$program" "$@" ;;
    redis) exec "$BINARIES/local-redis" --port "$PORT" ;;
    # Stderr shows what it builds, which differs from machine to machine.
    demo*) shift; unset REDIS_URL; exec "$DEMO" "$@" 2>/dev/null ;;
    *)
      if [ -n "$IN_PROJECT" ]; then command cargo "$@"; return; fi
      echo "no command of the pages: cargo $*"; exit 1 ;;
  esac
}
redis_cli() { command redis-cli $FORMAT -p "$PORT" "$@"; }
alias redis-cli=redis_cli
"#;

/// Programs that run until Ctrl+C, or until something happens.
pub(crate) const STAYS: [&str; 9] = [
    "subscriber",
    "cargo redis",
    "get_message",
    "forever",
    "--bin first",
    "example exercise_",
    "example solution_",
    "example leak",
    "example silent_loss",
];
