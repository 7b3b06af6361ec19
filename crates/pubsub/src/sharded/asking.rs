//! Asking a node to subscribe, and understanding what it answers.

use redis::{PushKind, RedisError, RedisResult, RetryMethod, Value};
use tokio::time::timeout;

use crate::Error;
use crate::error::said;
use crate::link::{CONNECT_TIMEOUT, Link, Loss};

/// What a node says to SSUBSCRIBE or SUNSUBSCRIBE.
pub(super) enum Answer {
    Subscribed,
    Moved(RedisError),
    Refused(RedisError),
    /// The cluster is electing a new owner, or the node is loading its data.
    NotNow(RedisError),
}

/// Sends a command for each of the channels. They are not put into one command, as that takes
/// channels of the same slot only. An error is the end of the link.
pub(super) async fn each(
    link: &Link,
    command: &str,
    channels: &[Vec<u8>],
) -> Result<Vec<Answer>, String> {
    let commands = channels.iter().map(|channel| {
        let mut each = redis::cmd(command);
        each.arg(channel);
        each
    });
    let answers = timeout(CONNECT_TIMEOUT, link.ask(commands))
        .await
        .map_err(|_| format!("no answer to {command} within {CONNECT_TIMEOUT:?}"))?
        .map_err(|error| Loss::by(&error).reason)?;
    channels.iter().zip(answers).map(|(channel, answer)| understood(channel, answer)).collect()
}

/// Whether this is the answer to a command for that channel.
///
/// When a slot moves, Redis unsubscribes by itself, and the redis crate takes that for the answer
/// to whatever was asked last. From then on each answer may be the one to the command before: a
/// subscription would count as confirmed that was refused. So each must name its channel.
fn understood(channel: &[u8], answer: RedisResult<Value>) -> Result<Answer, String> {
    let error = match answer {
        Ok(Value::Push { kind: PushKind::SSubscribe | PushKind::SUnsubscribe, data }) if matches!(data.first(), Some(Value::BulkString(name)) if name == channel) =>
        {
            return Ok(Answer::Subscribed);
        }
        Ok(_) => return Err("an answer of Redis to something else".to_owned()),
        Err(error) => error,
    };
    Ok(match error.retry_method() {
        RetryMethod::MovedRedirect => Answer::Moved(error),
        RetryMethod::WaitAndRetry | RetryMethod::AskRedirect => Answer::NotNow(error),
        _ if error.is_unrecoverable_error() => return Err(said(&error)),
        _ => Answer::Refused(error),
    })
}

pub(super) fn refused(names: &str, reason: &str) -> Error {
    Error::Command { command: "SSUBSCRIBE", names: names.to_owned(), reason: reason.to_owned() }
}

pub(super) fn quoted<'a>(channels: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let names: Vec<_> =
        channels.into_iter().map(|name| format!("'{}'", name.escape_ascii())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(kind: PushKind, channel: &str) -> RedisResult<Value> {
        let data = vec![Value::BulkString(channel.into()), Value::Int(1)];
        Ok(Value::Push { kind, data })
    }

    fn error(text: &str) -> RedisResult<Value> {
        let error = redis::parse_redis_value(format!("-{text}\r\n").as_bytes());
        error.and_then(Value::extract_error)
    }

    #[test]
    fn only_its_own_confirmation_counts() {
        let answer = |answer| understood(b"a", answer);
        assert!(matches!(answer(push(PushKind::SSubscribe, "a")), Ok(Answer::Subscribed)));
        // The slot of another channel has moved meanwhile, and every answer is one too late.
        assert!(answer(push(PushKind::SUnsubscribe, "b")).is_err());
        assert!(answer(push(PushKind::SSubscribe, "b")).is_err());
        assert!(answer(Ok(Value::SimpleString("PONG".into()))).is_err());
    }

    #[test]
    fn errors_that_pass_and_errors_that_stay() {
        let answer = |text| understood(b"a", error(text));
        assert!(matches!(answer("MOVED 1 127.0.0.1:7000"), Ok(Answer::Moved(_))));
        assert!(matches!(answer("CLUSTERDOWN Hash slot not served"), Ok(Answer::NotNow(_))));
        assert!(matches!(answer("LOADING Redis is loading"), Ok(Answer::NotNow(_))));
        assert!(matches!(answer("NOPERM no channel permissions"), Ok(Answer::Refused(_))));
        assert!(matches!(answer("ERR unknown command 'SSUBSCRIBE'"), Ok(Answer::Refused(_))));
    }
}
