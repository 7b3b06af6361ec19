/// The arguments that all services share.
#[derive(clap::Args)]
pub struct RedisArgs {
    /// Where Redis is: redis://[user:password@]host[:port][/db]
    // A string for clap, parsed later by our own code: clap would repeat a refused value in its
    // error, and shows the environment's in --help. Both may hold a password.
    #[arg(
        long,
        value_name = "URL",
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://localhost:6379/0"
    )]
    pub redis_url: String,
}
