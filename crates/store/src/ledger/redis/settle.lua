-- Settles what was held. A batch that has been seen is not settled again, so that it can be sent until it is answered.
--
-- KEYS: the batch's mark; then the hash of the bucket of each posting
-- ARGV: now; milliseconds for which the mark is kept; then for each posting
--   kind (w window, p places, r rate), hold end, claimed, slot, slot's end, actual, milliseconds to live, and the moment
--   from which on the database knows of it: a bucket that was told the database's sums since then has it already
--   of a rate claimed is the change of the arrival, and actual the latest arrival that it may lead to
local now = tonumber(ARGV[1])
local FIELDS = 8

if not redis.call('SET', KEYS[1], '1', 'PX', ARGV[2], 'NX') then return 0 end

local function longer(a, b)
  return #a > #b or (#a == #b and a > b)
end

local function increase(key, field, amount)
  local done = redis.pcall('HINCRBY', key, field, amount)
  if type(done) == 'table' and done.err then
    redis.call('HSET', key, field, '9223372036854775807')
  end
end

-- Keys live a minute longer than they count; half of it is no reason to write.
local function keep(key, milliseconds)
  if redis.call('PTTL', key) + 30000 < tonumber(milliseconds) then
    redis.call('PEXPIRE', key, milliseconds)
  end
end

for i = 2, #KEYS do
  local key, at = KEYS[i], 2 + (i - 2) * FIELDS
  local kind, claimed, actual = ARGV[at + 1], ARGV[at + 3], ARGV[at + 6]
  if kind == 'r' then
    local arrival = tonumber(redis.call('HGET', key, 't') or '0')
    local change = tonumber(claimed)
    local wanted = math.max(arrival + change, 0)
    if change > 0 then wanted = math.min(wanted, math.max(arrival, tonumber(actual))) end
    if wanted > now then
      redis.call('HSET', key, 't', string.format('%.0f', wanted))
      keep(key, string.format('%.0f', math.ceil((wanted - now) / 1000) + tonumber(ARGV[at + 7])))
    elseif arrival > 0 then
      redis.call('HSET', key, 't', string.format('%.0f', wanted))
    end
  else
    local field = 'h' .. ARGV[at + 2]
    local held = redis.call('HGET', key, field)
    if held and claimed ~= '0' then
      -- Both are whole numbers without a sign, so that longer is larger.
      if longer(held, claimed) then
        redis.call('HINCRBY', key, field, '-' .. claimed)
      else
        redis.call('HDEL', key, field)
      end
    end
    local told = tonumber(redis.call('HGET', key, 'm') or '0') >= tonumber(ARGV[at + 8])
    if kind == 'w' and actual ~= '0' and tonumber(ARGV[at + 5]) > now and not told then
      increase(key, 's' .. ARGV[at + 4], actual)
      keep(key, ARGV[at + 7])
    end
  end
end
return 1
