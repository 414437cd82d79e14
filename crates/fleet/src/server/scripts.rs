//! What the server does in one step. Lua scripts, since functions came only with Redis 7.

use redis::{Cmd, RedisError, Script};

use super::connect::Link;

/// Takes a version of a fact unless it has it or a newer one. Told again, it changes nothing. Answers with the last place
/// of the stream.
///
/// KEYS facts, ranks, ends, stream; ARGV key, rank, ends in ms, fact, entries kept, expiry in ms.
const PUBLISH: &str = r"
local old = redis.call('HGET', KEYS[2], ARGV[1])
if old and old >= ARGV[2] then
  if old == ARGV[2] then redis.call('ZADD', KEYS[3], 'GT', ARGV[3], ARGV[1]) end
  local last = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
  if last[1] then return last[1][1] end
  return '0-0'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
local id = redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], '*', 'e', ARGV[3], 'v', ARGV[4])
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[6]) end
return id
";

/// Notes that a node is there; forgets facts that have ended, and those that end first where there are too many. Answers
/// with the time, the birth mark of the data, the last place of the stream, all nodes, and how many facts there are. Where
/// the server has evicted a part, the rest is thrown away under another birth mark, so that all nodes tell it again.
///
/// KEYS nodes, birth, stream, facts, ranks, ends, places; ARGV node, its state, a birth mark, expiry in ms, facts kept,
/// age in ms at which a silent node is forgotten.
const BEAT: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
local ranks = redis.call('HLEN', KEYS[5])
if redis.call('HLEN', KEYS[4]) ~= ranks or redis.call('ZCARD', KEYS[6]) ~= ranks then
  redis.call('DEL', KEYS[2], KEYS[4], KEYS[5], KEYS[6])
end
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SET', KEYS[2], ARGV[3]) end
for i = 1, 7 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
local gone = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', string.format('%.0f', now), 'LIMIT', 0, 200)
local surplus = redis.call('ZCARD', KEYS[6]) - tonumber(ARGV[5])
if surplus > 0 then gone = redis.call('ZRANGE', KEYS[6], 0, math.min(surplus, 200) - 1) end
if #gone > 0 then
  redis.call('HDEL', KEYS[4], unpack(gone))
  redis.call('HDEL', KEYS[5], unpack(gone))
  redis.call('ZREM', KEYS[6], unpack(gone))
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
local place = last[1] and last[1][1] or '0-0'
local nodes = redis.call('HGETALL', KEYS[1])
for i = 2, #nodes, 2 do
  local seen = tonumber(string.match(nodes[i], '^%d+'))
  if seen and now - seen > tonumber(ARGV[6]) then
    redis.call('HDEL', KEYS[1], nodes[i - 1])
    redis.call('HDEL', KEYS[7], nodes[i - 1])
  end
end
return {string.format('%.0f', now), redis.call('GET', KEYS[2]), place, nodes, redis.call('HLEN', KEYS[5])}
";

/// Counts a failure once, whoever tells it and however often; answers with the count, what other nodes told since, and,
/// if asked, who is familiar.
///
/// KEYS window, familiar; ARGV id, node, failure, expiry in ms, entries kept, count known to the asker, whether to tell
/// who is familiar.
const COUNT: &str = r"
local known = tonumber(ARGV[6])
local n
local others = 0
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  n = redis.call('HINCRBY', KEYS[1], '#', 1)
  redis.call('HSET', KEYS[1], ARGV[1], n .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  others = n - 1 - known
  local most = tonumber(ARGV[5])
  if redis.call('HLEN', KEYS[1]) > most + most / 4 then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
      local place = tonumber(string.match(all[i + 1], '^%d+ '))
      if all[i] ~= '#' and place and place <= n - most then redis.call('HDEL', KEYS[1], all[i]) end
    end
  end
else
  n = tonumber(redis.call('HGET', KEYS[1], '#'))
  others = n - known
end
local told = {}
if others ~= 0 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if all[i] ~= '#' and all[i] ~= ARGV[1] then
      local place, node, failure = string.match(all[i + 1], '^(%d+) (%x+) (.*)$')
      if place and (tonumber(place) > known or known > n) and node ~= ARGV[2] then
        told[#told + 1] = all[i]
        told[#told + 1] = node
        told[#told + 1] = failure
      end
    end
  end
end
local familiar = {}
if ARGV[7] == '1' then familiar = redis.call('HGETALL', KEYS[2]) end
return {n, told, familiar}
";

/// Notes that somebody is familiar somewhere; the oldest of too many is forgotten.
///
/// KEYS familiar; ARGV who or where, time in ms, expiry in ms, entries kept.
const GREET: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or tonumber(old) < tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then
  local all = redis.call('HGETALL', KEYS[1])
  local oldest, at
  for i = 1, #all, 2 do
    local time = tonumber(all[i + 1])
    if not at or time < at then oldest, at = all[i], time end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
return 1
";

/// All scripts, with their digests.
pub(crate) struct Scripts {
    pub(crate) publish: Known,
    pub(crate) beat: Known,
    pub(crate) count: Known,
    pub(crate) greet: Known,
}

/// A script's text and digest.
pub(crate) struct Known {
    text: &'static str,
    digest: String,
}

/// A call of a script.
pub(crate) struct Call<'s> {
    script: &'s Known,
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        let known = |text| Known { text, digest: Script::new(text).get_hash().to_owned() };
        let [publish, beat, count, greet] = [PUBLISH, BEAT, COUNT, GREET].map(known);
        Scripts { publish, beat, count, greet }
    }

    /// Has the server remember all of them.
    pub(crate) async fn load(&self, link: &mut Link) -> Result<(), RedisError> {
        for script in [&self.publish, &self.beat, &self.count, &self.greet] {
            let _: redis::Value = redis::cmd("SCRIPT").arg("LOAD").arg(script.text).query_async(link).await?;
        }
        Ok(())
    }
}

impl<'s> Call<'s> {
    pub(crate) fn new(script: &'s Known, keys: Vec<String>, arguments: Vec<String>) -> Self {
        Call { script, keys, arguments }
    }

    /// By its digest.
    pub(crate) fn short(&self) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        self.fill(command.arg(&self.script.digest));
        command
    }

    /// With its text, which the server remembers.
    fn whole(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        self.fill(command.arg(self.script.text));
        command
    }

    fn fill(&self, command: &mut Cmd) {
        command.arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
    }

    /// Calls it; a server that does not know the script is told it.
    pub(crate) async fn run<T: redis::FromRedisValue>(&self, link: &mut Link) -> Result<T, RedisError> {
        match self.short().query_async(link).await {
            Err(error) if is_unknown(&error) => self.whole().query_async(link).await,
            done => done,
        }
    }
}

/// Whether the server does not know the script.
pub(crate) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript)
}
