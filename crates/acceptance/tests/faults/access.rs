//! Passwords and rights change while the services are connected.

use acceptance::{
    Terminal, Test, ask_on, command_stat, eventually, publish, redis, redis_with, service_command,
    tell, url_as,
};
use local_redis::Signal;

use crate::events::Events;

pub(crate) const FAULTS: &[Test] = &[
    ("access::password_changed_and_changed_back", password_changed_and_changed_back),
    ("access::channel_forbidden_and_allowed_again", channel_forbidden_and_allowed_again),
    ("access::one_of_two_channels_forbidden", one_of_two_channels_forbidden),
    ("access::may_subscribe_but_not_ping", may_subscribe_but_not_ping),
    ("access::publishing_forbidden_for_a_while", publishing_forbidden_for_a_while),
];

const CLOSED: &str = "Redis closed the connection";

fn password_changed_and_changed_back() {
    let mut redis = redis_with(&["--requirepass", "s3cret"]);
    let url = url_as(&redis, ":s3cret");
    let mut events = Events::of_subscriber(&url);
    // A new password ends no connection that is logged in: this one keeps working.
    let mut admin = redis::Client::open(url).unwrap().get_connection().unwrap();
    for command in ["CONFIG SET requirepass 0ther", "CLIENT KILL TYPE pubsub"] {
        ask_on::<redis::Value>(&mut admin, command);
    }
    events.disconnected(CLOSED);
    // Each error is logged once in an outage, even if another one comes between.
    events.logs_next("lost the connection");
    events.logs_next("refused the connection: WRONGPASS");
    redis.process.signal(Signal::STOP);
    events.logs_next("no answer within 2s");
    redis.process.signal(Signal::CONT);
    await_attempts(&mut admin, 3);
    // The password is right again, but the channel is forbidden.
    for command in ["ACL SETUSER default resetchannels", "CONFIG SET requirepass s3cret"] {
        ask_on::<redis::Value>(&mut admin, command);
    }
    events.reconnected();
    events.refused("notifications");
    events.logs_next("connected again");
    events.logs_next("Redis refused SUBSCRIBE 'notifications': NOPERM");
    ask_on::<redis::Value>(&mut admin, "ACL SETUSER default allchannels");
    events.subscribed();
    events.logs_next("Redis allows 'notifications' again");
    ask_on::<redis::Value>(&mut admin, "PUBLISH notifications back");
    events.message("back");
    assert_eq!(events.end().stderr, [""; 0]);
}

/// Waits until this many more connections were made to Redis.
fn await_attempts(admin: &mut redis::Connection, more: u64) {
    let mut made = || {
        let info: redis::InfoDict = ask_on(admin, "INFO");
        info.get::<u64>("total_connections_received").unwrap()
    };
    let goal = made() + more;
    eventually("attempts to connect", || made() >= goal);
}

/// Redis closes the connection of a subscriber that loses the right to its channel.
fn channel_forbidden_and_allowed_again() {
    let redis = redis();
    tell(&redis, "ACL SETUSER reader on nopass +@all &notifications");
    let mut events = Events::of_subscriber(&url_as(&redis, "reader:any"));
    tell(&redis, "ACL SETUSER reader resetchannels &other");
    events.disconnected(CLOSED);
    events.reconnected();
    events.refused("notifications");
    // It tries again and again, and reports the refusal once.
    let rejected = || command_stat(&redis, "subscribe", "rejected_calls");
    let goal = rejected() + 3;
    eventually("further attempts", || rejected() >= goal);
    tell(&redis, "ACL SETUSER reader &notifications");
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    let ended = events.end();
    let refused = ended.stderr.iter().filter(|line| line.contains("NOPERM")).count();
    assert_eq!((refused, ended.stderr.len()), (1, 4), "{ended:#?}");
}

/// Messages of the allowed channel continue to arrive.
fn one_of_two_channels_forbidden() {
    let redis = redis();
    tell(&redis, "ACL SETUSER reader on nopass +@all allchannels");
    let mut command = service_command("subscriber");
    command.env("REDIS_URL", url_as(&redis, "reader:any"));
    let mut events = Events::of(command.args(["--json", "a", "notifications"]));
    events.subscribed();
    tell(&redis, "ACL SETUSER reader resetchannels &notifications");
    events.disconnected(CLOSED);
    events.reconnected();
    events.subscribed();
    events.refused("a");
    publish(&redis, b"notifications", b"still there");
    events.message("still there");
    events.end();
}

/// A refused PING is an answer: the connection works.
fn may_subscribe_but_not_ping() {
    let redis = redis();
    tell(&redis, "ACL SETUSER reader on nopass -@all +subscribe +unsubscribe &notifications");
    let mut events = Events::of_subscriber(&url_as(&redis, "reader:any"));
    eventually("two refused PINGs", || command_stat(&redis, "ping", "rejected_calls") >= 2);
    publish(&redis, b"notifications", b"still there");
    events.message("still there");
    events.end();
}

/// The publisher counts each refused message, and continues with the next one.
fn publishing_forbidden_for_a_while() {
    let redis = redis();
    tell(&redis, "ACL SETUSER writer on nopass +@all &notifications");
    let mut command = service_command("publisher");
    let url = url_as(&redis, "writer:any");
    command.env("REDIS_URL", url).args(["--interval", "100ms", "--count", "20"]);
    let publisher = Terminal::start_command(&mut command);
    publisher.line();
    publisher.line();
    tell(&redis, "ACL SETUSER writer resetchannels &other");
    publisher.logs("not confirmed: NOPERM");
    tell(&redis, "ACL SETUSER writer &notifications");
    let ended = publisher.end().with(1);
    let refused = ended.stderr.iter().filter(|line| line.contains("NOPERM")).count() + 1;
    let published = ended.stdout.len() + 1;
    assert_eq!(refused + published, 20, "{ended:#?}");
    let last = format!("error: Redis did not confirm {refused} message");
    assert!(ended.stderr.last().unwrap().starts_with(&last), "{ended:#?}");
}
