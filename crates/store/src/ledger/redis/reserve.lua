-- Grants all claims of a call, or none. Sums are added up in two halves, of which each is exact in floating point: so are
-- amounts up to 2^63. Moments in microseconds are below 2^53 until the year 2255.
--
-- KEYS: a hash for each bucket, with the fields
--   s<beginning of a slot>  settled        h<end of a hold>  held
--   t                       arrival        m                 when the database's sums were last told
-- ARGV: now; 'reserve' or 'look'; then for each bucket
--   kind (w window, p places, r rate), shadow, durable, limit, amount, since, forget, hold end, milliseconds to live
--   of a rate limit and amount are times, and since is the longest wait
-- Answers {1 granted | 0 refused | 2 looked, [passes, settled, held, slot, amount, …] for each},
-- or {-1, position of each bucket that is not known}.
local now = tonumber(ARGV[1])
local FIELDS = 9
local HALF = 1000000000

local function add(sum, text)
  local length = #text
  if length <= 12 then
    sum[2] = sum[2] + tonumber(text)
  else
    sum[1] = sum[1] + tonumber(string.sub(text, 1, length - 9))
    sum[2] = sum[2] + tonumber(string.sub(text, length - 8))
  end
end

local function carry(sum)
  local over = math.floor(sum[2] / HALF)
  sum[1] = sum[1] + over
  sum[2] = sum[2] - over * HALF
end

local function shown(sum)
  carry(sum)
  if sum[1] > 0 then
    return string.format('%.0f%09.0f', sum[1], sum[2])
  end
  return string.format('%.0f', sum[2])
end

local function within(settled, held, amount, limit)
  local sum, most = {settled[1] + held[1], settled[2] + held[2]}, {0, 0}
  add(sum, amount)
  add(most, limit)
  carry(sum)
  carry(most)
  return sum[1] < most[1] or (sum[1] == most[1] and sum[2] <= most[2])
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

local found, unknown, old, passes = {}, {-1}, {}, true
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * FIELDS
  local kind, shadow, durable, limit, amount =
    ARGV[at + 1], ARGV[at + 2] == '1', ARGV[at + 3] == '1', ARGV[at + 4], ARGV[at + 5]
  local fits
  if kind == 'r' then
    local arrival = redis.call('HGET', key, 't') or '0'
    local wait = math.max(tonumber(arrival), now) + tonumber(amount) - now - tonumber(limit)
    fits = wait <= tonumber(ARGV[at + 6])
    found[i] = {fits and 1 or 0, arrival, '0'}
  else
    local since, forget = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
    local settled, held, slots, known, dead = {0, 0}, {0, 0}, {}, false, {}
    local fields = redis.call('HGETALL', key)
    for f = 1, #fields, 2 do
      local field, value = fields[f], fields[f + 1]
      local letter, moment = string.sub(field, 1, 1), tonumber(string.sub(field, 2))
      if letter == 'm' then
        known = true
      elseif letter == 's' then
        if kind == 'w' and moment >= since then
          add(settled, value)
          slots[#slots + 1] = string.sub(field, 2)
          slots[#slots + 1] = value
        elseif moment < forget then
          dead[#dead + 1] = field
        end
      elseif letter == 'h' then
        if moment > now then add(held, value) else dead[#dead + 1] = field end
      end
    end
    if durable and not known then unknown[#unknown + 1] = i end
    old[i] = dead
    fits = within(settled, held, amount, limit)
    found[i] = {fits and 1 or 0, shown(settled), shown(held)}
    if not fits then
      for _, slot in ipairs(slots) do table.insert(found[i], slot) end
    end
  end
  if not fits and not shadow then passes = false end
end

if ARGV[2] == 'look' then
  table.insert(found, 1, 2)
  return found
end
if #unknown > 1 then return unknown end
if not passes then
  table.insert(found, 1, 0)
  return found
end

for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * FIELDS
  local kind, amount = ARGV[at + 1], ARGV[at + 5]
  if kind == 'r' then
    if found[i][1] == 1 then
      local arrival = math.max(tonumber(found[i][2]), now) + tonumber(amount)
      redis.call('HSET', key, 't', string.format('%.0f', arrival))
      keep(key, string.format('%.0f', math.ceil((arrival - now) / 1000) + tonumber(ARGV[at + 9])))
    end
  else
    if #old[i] > 0 then redis.call('HDEL', key, unpack(old[i])) end
    if amount ~= '0' then increase(key, 'h' .. ARGV[at + 8], amount) end
    keep(key, ARGV[at + 9])
  end
end
table.insert(found, 1, 1)
return found
