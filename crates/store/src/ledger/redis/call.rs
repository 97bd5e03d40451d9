//! One call of a script.

use redis::{
    Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, ToRedisArgs, Value, aio::ConnectionLike,
};

/// A script by its text, and by the name that Redis gives it.
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

/// A script and what it is given.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Script {
        Script { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), words: Vec::new() }
    }
}

impl Call<'_> {
    pub(super) fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        key.write_redis_args(&mut self.keys);
        self
    }

    pub(super) fn arg(&mut self, word: impl ToRedisArgs) -> &mut Self {
        word.write_redis_args(&mut self.words);
        self
    }

    /// Runs it by its name. A server that does not know the name (it has restarted, or its scripts were flushed) is given the
    /// text, which it runs and remembers in one step: scripts that are flushed between two steps can't make it fail.
    pub(super) async fn run(&self, connection: &mut impl ConnectionLike) -> RedisResult<Value> {
        match self.command("EVALSHA", &self.script.hash).query_async(connection).await {
            Err(error) if is_unknown(&error) => {
                self.command("EVAL", self.script.text).query_async(connection).await
            }
            done => done,
        }
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(&*self.keys).arg(&*self.words);
        command
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
