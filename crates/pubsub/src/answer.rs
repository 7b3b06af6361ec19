//! Subscribing to many names, each with an answer of its own.

use redis::{ErrorKind, RedisError, RedisResult, RetryMethod, Value};

use crate::ByteString;
use crate::error::said;
use crate::link::{CONNECT_TIMEOUT, Link, Loss};

/// What a server says to a command for one name.
pub(crate) enum Answer {
    Confirmed,
    /// NOPERM: this user has no right to that name.
    NoPermission(String),
    /// Another node of the cluster owns the shard channel.
    Moved(RedisError),
    /// The cluster is electing a new owner, or the node is loading its data.
    NotNow(RedisError),
    Failed(RedisError),
}

/// Sends a command for each name, up to a thousand together. In one command they would be refused
/// together, and NOPERM does not say which one is not allowed. An error is the end of the link.
pub(crate) async fn ask_for_each<'a>(
    link: &Link,
    commands: impl IntoIterator<Item = (&'static str, &'a ByteString)>,
) -> Result<Vec<Answer>, Loss> {
    let commands: Vec<_> = commands.into_iter().collect();
    let mut understood_of_each = Vec::new();
    for commands in commands.chunks(1000) {
        let each = commands.iter().map(|(command, name)| redis::cmd(command).arg(&***name).take());
        let asking = link.ask(each);
        let answers = tokio::select! {
            answers = asking => answers.map_err(|error| link.loss_by(&error))?,
            // Only silence counts: a large message may arrive before the answer.
            since = link.silence(CONNECT_TIMEOUT) => {
                let reason = format!("no answer to {} within {CONNECT_TIMEOUT:?}", commands[0].0);
                return Err(Loss { reason, since });
            }
        };
        for ((_, name), answer) in commands.iter().zip(answers) {
            understood_of_each.push(understood(name, answer).map_err(Loss::now)?);
        }
    }
    Ok(understood_of_each)
}

/// Whether this is the answer to a command for that name.
///
/// When a slot moves, Redis unsubscribes by itself, and the redis crate uses that as the answer to
/// whatever was asked last. From then on each answer may belong to the command before: a
/// subscription would count as confirmed that was refused. So each must repeat its name.
fn understood(name: &ByteString, answer: RedisResult<Value>) -> Result<Answer, String> {
    let repeats =
        |data: &[Value]| matches!(data, [Value::BulkString(said), ..] if name[..] == said[..]);
    let error = match answer {
        Ok(Value::Push { data, .. }) if repeats(&data) => return Ok(Answer::Confirmed),
        Ok(Value::Array(_)) => return Ok(Answer::Failed(confirmed_as_array())),
        Ok(_) => return Err("an answer of Redis to something else".to_owned()),
        Err(error) => error,
    };
    Ok(match error.retry_method() {
        _ if error.code() == Some("NOPERM") => Answer::NoPermission(said(&error)),
        RetryMethod::MovedRedirect => Answer::Moved(error),
        RetryMethod::WaitAndRetry | RetryMethod::AskRedirect => Answer::NotNow(error),
        _ if error.is_unrecoverable_error() => return Err(said(&error)),
        _ => Answer::Failed(error),
    })
}

/// In RESP2 confirmations are arrays. Messages would be arrays, too, and look like answers.
pub(crate) fn confirmed_as_array() -> RedisError {
    let says = "it confirms as in RESP2, though it accepted RESP3";
    (ErrorKind::UnexpectedReturnType, says).into()
}

#[cfg(test)]
mod tests {
    use redis::PushKind;

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
        let answer = |answer| understood(&"a".into(), answer);
        assert!(matches!(answer(push(PushKind::SSubscribe, "a")), Ok(Answer::Confirmed)));
        // The slot of another channel has moved meanwhile, and every answer is one too late.
        assert!(answer(push(PushKind::SUnsubscribe, "b")).is_err());
        assert!(answer(push(PushKind::SSubscribe, "b")).is_err());
        assert!(answer(Ok(Value::SimpleString("PONG".into()))).is_err());
        // As in RESP2. Another attempt would not change that.
        assert!(matches!(answer(Ok(Value::Array(Vec::new()))), Ok(Answer::Failed(_))));
    }

    #[test]
    fn errors_that_pass_and_errors_that_stay() {
        let answer = |text| understood(&"a".into(), error(text));
        assert!(matches!(answer("MOVED 1 127.0.0.1:7000"), Ok(Answer::Moved(_))));
        assert!(matches!(answer("CLUSTERDOWN Hash slot not served"), Ok(Answer::NotNow(_))));
        assert!(matches!(answer("LOADING Redis is loading"), Ok(Answer::NotNow(_))));
        assert!(matches!(answer("NOPERM no channel permissions"), Ok(Answer::NoPermission(_))));
        assert!(matches!(answer("ERR unknown command 'SSUBSCRIBE'"), Ok(Answer::Failed(_))));
    }
}
