-- What slots hold becomes at least so much, and their buckets are known.
--
-- KEYS: the hash of each bucket. ARGV: now; then for each slot, amount, milliseconds to live.
local function longer(a, b)
  return #a > #b or (#a == #b and a > b)
end

for i, key in ipairs(KEYS) do
  local at = 1 + (i - 1) * 3
  local field, amount = 's' .. ARGV[at + 1], ARGV[at + 2]
  local settled = redis.call('HGET', key, field) or '0'
  if longer(amount, settled) then redis.call('HSET', key, field, amount) end
  redis.call('HSET', key, 'm', ARGV[1])
  if redis.call('PTTL', key) < tonumber(ARGV[at + 3]) then
    redis.call('PEXPIRE', key, ARGV[at + 3])
  end
end
return 1
