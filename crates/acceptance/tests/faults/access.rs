//! Passwords and rights change while the services are connected.

use local_redis::LocalRedis;

use crate::events::Events;
use crate::{Fault, ask, redis, redis_with};
use acceptance::{Terminal, connection, eventually, publish, service_command};

pub(crate) const FAULTS: &[Fault] = &[
    ("access::password_changed_and_changed_back", password_changed_and_changed_back),
    ("access::channel_forbidden_and_allowed_again", channel_forbidden_and_allowed_again),
    ("access::one_of_two_channels_forbidden", one_of_two_channels_forbidden),
    ("access::may_subscribe_but_not_ping", may_subscribe_but_not_ping),
    ("access::publishing_forbidden_for_a_while", publishing_forbidden_for_a_while),
];

const CLOSED: &str = "Redis closed the connection";

/// Waits until so many more connections were made to Redis, beside the one that asks.
fn await_attempts(admin: &mut redis::Connection, more: u64) {
    let mut made = || {
        let info: redis::InfoDict = redis::cmd("INFO").query(admin).unwrap();
        info.get::<u64>("total_connections_received").unwrap()
    };
    let goal = made() + more;
    eventually("attempts to connect", || made() >= goal);
}

fn told(admin: &mut redis::Connection, command: &str) {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>()).query::<redis::Value>(admin).unwrap();
}

fn of_user(redis: &LocalRedis, login: &str) -> Events {
    Events::of_subscriber(&redis.url().replace("127", &format!("{login}@127")))
}

fn password_changed_and_changed_back() {
    let redis = redis_with(&["--requirepass", "s3cret"]);
    let mut events = of_user(&redis, ":s3cret");
    // Whoever is logged in stays so: this connection, and the subscriber's until it is cut.
    let url = redis.url().replace("127", ":s3cret@127");
    let mut admin = redis::Client::open(url).unwrap().get_connection().unwrap();
    told(&mut admin, "CONFIG SET requirepass 0ther");
    told(&mut admin, "CLIENT KILL TYPE pubsub");
    events.disconnected(CLOSED);
    await_attempts(&mut admin, 3);
    // Back, but without a right to the channel.
    told(&mut admin, "ACL SETUSER default resetchannels");
    told(&mut admin, "CONFIG SET requirepass s3cret");
    events.reconnected();
    events.refused("notifications");
    told(&mut admin, "ACL SETUSER default allchannels");
    events.subscribed();
    told(&mut admin, "PUBLISH notifications back");
    events.message("back");

    let ended = events.end();
    let [lost, password, again, right, allowed] = &ended.stderr[..] else { panic!("{ended:#?}") };
    assert!(lost.contains("lost the connection"), "{ended:#?}");
    assert!(password.contains("refused the connection: WRONGPASS"), "{ended:#?}");
    assert!(right.contains("Redis refused SUBSCRIBE 'notifications': NOPERM"), "{ended:#?}");
    assert!(again.contains("connected again"), "{ended:#?}");
    assert!(allowed.contains("Redis allows 'notifications' again"), "{ended:#?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:#?}");
}

/// Redis itself throws out who is subscribed to what he may not read any more.
fn channel_forbidden_and_allowed_again() {
    let redis = redis();
    let mut admin = connection(&redis);
    told(&mut admin, "ACL SETUSER reader on nopass +@all &notifications");
    let mut events = of_user(&redis, "reader:any");
    told(&mut admin, "ACL SETUSER reader resetchannels &other");
    events.disconnected(CLOSED);
    events.reconnected();
    events.refused("notifications");
    // Tried again and again, told once.
    let goal = rejected(&mut admin, "subscribe") + 3;
    eventually("further attempts", || rejected(&mut admin, "subscribe") >= goal);
    told(&mut admin, "ACL SETUSER reader &notifications");
    events.subscribed();
    publish(&redis, b"notifications", b"back");
    events.message("back");
    let ended = events.end();
    let refused = ended.stderr.iter().filter(|line| line.contains("NOPERM")).count();
    assert_eq!((refused, ended.stderr.len()), (1, 4), "{ended:#?}");
}

/// The other one goes on, which is what its reader cares about.
fn one_of_two_channels_forbidden() {
    let redis = redis();
    let mut admin = connection(&redis);
    told(&mut admin, "ACL SETUSER reader on nopass +@all allchannels");
    let mut command = service_command("subscriber");
    command.env("REDIS_URL", redis.url().replace("127", "reader:any@127"));
    let mut events = Events::of(command.args(["--json", "a", "notifications"]));
    events.subscribed();
    told(&mut admin, "ACL SETUSER reader resetchannels &notifications");
    events.disconnected(CLOSED);
    events.reconnected();
    events.subscribed();
    events.refused("a");
    publish(&redis, b"notifications", b"still there");
    events.message("still there");
    events.end();
}

/// How often this command was refused.
fn rejected(admin: &mut redis::Connection, command: &str) -> u64 {
    let info: redis::InfoDict = redis::cmd("INFO").arg("commandstats").query(admin).unwrap();
    let stats: String = info.get(&format!("cmdstat_{command}")).unwrap_or_default();
    let rejected = stats.split(',').find_map(|stat| stat.strip_prefix("rejected_calls="));
    rejected.map_or(0, |calls| calls.parse().unwrap())
}

/// A user with few rights is no fault: no PING is no sign of a dead connection.
fn may_subscribe_but_not_ping() {
    let redis = redis();
    ask(&redis, "ACL SETUSER reader on nopass -@all +subscribe +unsubscribe &notifications");
    let mut events = of_user(&redis, "reader:any");
    let mut admin = connection(&redis);
    eventually("a second PING, refused", || rejected(&mut admin, "ping") >= 2);
    publish(&redis, b"notifications", b"still there");
    events.message("still there");
    events.end();
}

/// A refusal is an answer: the message is counted, and the run goes on with the next one.
fn publishing_forbidden_for_a_while() {
    let redis = redis();
    let mut admin = connection(&redis);
    told(&mut admin, "ACL SETUSER writer on nopass +@all &notifications");
    let mut command = service_command("publisher");
    let url = redis.url().replace("127", "writer:any@127");
    command.env("REDIS_URL", url).args(["--interval", "100ms", "--count", "20"]);
    let publisher = Terminal::start_command(&mut command);
    publisher.line();
    publisher.line();
    told(&mut admin, "ACL SETUSER writer resetchannels &other");
    publisher.logs("not confirmed: NOPERM");
    told(&mut admin, "ACL SETUSER writer &notifications");
    let ended = publisher.end().with(1);
    let refused = ended.stderr.iter().filter(|line| line.contains("NOPERM")).count() + 1;
    let published = ended.stdout.len() + 1;
    assert_eq!(refused + published, 20, "{ended:#?}");
    let last = format!("error: Redis did not confirm {refused} message");
    assert!(ended.stderr.last().unwrap().starts_with(&last), "{ended:#?}");
}
