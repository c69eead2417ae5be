#!lua
-- Save many EVSEs of one node (in a cluster: of one slot), each atomically and under its guard.
--
-- KEYS  the trail of the writer, if it lies here; then nine for each EVSE: document, days, outages, exclusions,
--       gaps, verdicts, private, staged days, staged outages (schemas/view.py tells what they hold)
-- ARGV  the trail's last number that was acknowledged, and that of this call: both "" without a trail; the number
--       of document fields, then their names, once for all EVSEs; then for each EVSE
--         position    "epoch|as_of_us|offset,offset,…": the guard, as kept in the private hash
--         previous    the position of the state that the writer went on from, or ""
--         replace     "days|outages": all that is stored goes, and what was staged, so many of each, takes its
--                     place; else ""
--         state       what the worker goes on folding from: as a whole, or what was added since it was one
--         adds_to     in the latter case the position of the write that was a whole; else ""
--         pending     what it publishes again
--         vitals      what the watchdog needs
--         listed      what the lists show of the EVSE, as one word: only compared
--         kept        "from_us|YYYY-MM-DD": what ended before is deleted, once for each new day; or ""
--         counts      of the nine that follow, in this order: "1,0,…"
--         the values of the document, in the order of the names
--         field, JSON for each closed day;  field for each dropped day
--         JSON for each dropped outage;     until_us, JSON for each outage
--         id, JSON for each exclusion;      id for each withdrawn one
--         JSON for each dropped gap;        until_us, JSON for each gap
--         at_us, "position verdict" for each correction
-- Reply one word with a digit for each EVSE, which a client reads in a sixth of the time of so many numbers:
--         0 stale: what is stored is further than what is offered, or than what the writer went on from, or has
--         another whole than what is offered adds to; 1 already there, 2 saved, 3 saved and the lists have to
--         follow, 4 behind: an older position is stored than the writer knew, or history is gone that this adds
--         to, or what was staged is; or the number -1: the trail is older than what was acknowledged, so that
--         writes the writer was told of are gone. Of what is behind nothing is written.
--
-- The guard is service.processing.values.Position.judge, word for word: a contract test holds the two together.
-- Numbers are doubles: exact for offsets and microseconds below 2^53, that is until the year 2255.
-- `#!lua` makes the server refuse the whole run, instead of its second half, when it is out of memory.

local KEYS_PER_EVSE = 9
local STALE, ALREADY, SAVED, SAVED_LISTS_FOLLOW, BEHIND = '0', '1', '2', '3', '4'
local TRAIL_LOST = -1
local NOTHING = '0|0'
local TRAIL_KEPT_S = 2592000
local MOST_ARGUMENTS = 4000 -- Lua unpacks about 8000 values onto its stack

local function parsed(position)
  local epoch, as_of, rest = position:match('^(%-?%d+)|(%-?%d+)|(.*)$')
  local offsets = {}
  for offset in rest:gmatch('%-?%d+') do
    offsets[#offsets + 1] = tonumber(offset)
  end
  return tonumber(epoch), tonumber(as_of), offsets
end

local function judge(stored, offered)
  if not stored then return SAVED end
  if stored == offered then return ALREADY end
  local stored_epoch, stored_as_of, stored_offsets = parsed(stored)
  local epoch, as_of, offsets = parsed(offered)
  if epoch ~= stored_epoch then return epoch > stored_epoch and SAVED or STALE end
  local ahead = false
  for i = 1, math.max(#stored_offsets, #offsets) do
    local was, is = stored_offsets[i] or -1, offsets[i] or -1
    if was > is then return STALE end
    if was < is then ahead = true end
  end
  if ahead or as_of > stored_as_of then return SAVED end
  return as_of == stored_as_of and ALREADY or STALE
end

-- The next argument.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

-- Run a command on one key with the next `count` arguments, in pieces that fit the stack.
local function run(command, key, count)
  while count > 0 do
    local size = math.min(count, MOST_ARGUMENTS)
    redis.call(command, key, unpack(ARGV, at + 1, at + size))
    at = at + size
    count = count - size
  end
end

-- Delete what ended before `kept`; days by the date at the end of their field.
local function prune(kept, days, outages, gaps, verdicts)
  local from_us, from_day = kept:match('^(%-?%d+)|(.*)$')
  redis.call('ZREMRANGEBYSCORE', outages, '-inf', '(' .. from_us)
  redis.call('ZREMRANGEBYSCORE', gaps, '-inf', '(' .. from_us)
  redis.call('ZREMRANGEBYSCORE', verdicts, '-inf', '(' .. from_us)
  for _, field in ipairs(redis.call('HKEYS', days)) do
    if field:sub(-10) < from_day then redis.call('HDEL', days, field) end
  end
end

-- How much two keys hold, as kept in the private hash: one that somebody deleted shows by it.
local function amount(hash, zset)
  return redis.call('HLEN', hash) .. '|' .. redis.call('ZCARD', zset)
end

local function take_over(staged, key)
  if redis.call('EXISTS', staged) == 1 then
    redis.call('RENAME', staged, key)
    redis.call('PERSIST', key)
  end
end

-- A write that was acknowledged and is gone has left the trail at an older number.
local acknowledged, number = take(), take()
local before_evses = 0
if number ~= '' then
  local trail = tonumber(redis.call('GET', KEYS[1]) or '-1')
  if trail < tonumber(acknowledged) or trail > tonumber(number) then return TRAIL_LOST end
  redis.call('SET', KEYS[1], number, 'EX', TRAIL_KEPT_S)
  before_evses = 1
end

local names = {}
for i = 1, tonumber(take()) do
  names[i] = take()
end

local function save(first_key)
  local document, days, outages = KEYS[first_key], KEYS[first_key + 1], KEYS[first_key + 2]
  local exclusions, gaps, verdicts = KEYS[first_key + 3], KEYS[first_key + 4], KEYS[first_key + 5]
  local private, staged_days, staged_outages = KEYS[first_key + 6], KEYS[first_key + 7], KEYS[first_key + 8]
  local position, previous, replace = take(), take(), take()
  local state, adds_to, pending, vitals, listed, kept = take(), take(), take(), take(), take(), take()
  local counts = {}
  for count in take():gmatch('%d+') do
    counts[#counts + 1] = tonumber(count)
  end

  local stored = redis.call('HMGET', private, 'position', 'listed', 'kept', 'history', 'declared', 'whole_at')
  local outcome = judge(stored[1], position)
  if previous ~= '' and previous ~= stored[1] then
    if not stored[1] or judge(stored[1], previous) == SAVED then
      outcome = BEHIND
    elseif outcome == SAVED and judge(previous, stored[1]) == SAVED then
      outcome = STALE -- what is offered was folded from a state without what somebody else has added
    end
  end
  local prunes = kept ~= '' and (replace ~= '' or kept ~= stored[3])
  local changes = prunes or replace ~= '' or counts[1] + counts[2] + counts[3] + counts[4] > 0
  local declares = prunes or replace ~= '' or counts[5] + counts[6] + counts[7] + counts[8] > 0
  if outcome == SAVED and replace == '' then
    local is_torn = changes and stored[4] and amount(days, outages) ~= stored[4]
    is_torn = is_torn or declares and stored[5] and amount(exclusions, gaps) ~= stored[5]
    if is_torn then outcome = BEHIND end
  end
  local takes_over = replace ~= '' and replace ~= NOTHING
  if outcome == SAVED and takes_over and amount(staged_days, staged_outages) ~= replace then outcome = BEHIND end
  if outcome == SAVED and adds_to ~= '' and adds_to ~= stored[6] then outcome = STALE end
  if outcome ~= SAVED then
    at = at + #names + 2 * counts[1] + counts[2] + counts[3] + 2 * counts[4]
    at = at + 2 * counts[5] + counts[6] + counts[7] + 2 * counts[8] + 2 * counts[9]
    if replace ~= '' then redis.call('DEL', staged_days, staged_outages) end
    return outcome
  end

  if replace ~= '' then
    redis.call('DEL', document, days, outages, exclusions, gaps, verdicts, private)
    if takes_over then
      take_over(staged_days, days)
      take_over(staged_outages, outages)
    end
    stored = {}
  end
  local fields = {}
  for i = 1, #names do
    fields[2 * i - 1] = names[i]
    fields[2 * i] = take()
  end
  if #names > 0 then redis.call('HSET', document, unpack(fields)) end
  run('HSET', days, 2 * counts[1])
  run('HDEL', days, counts[2])
  run('ZREM', outages, counts[3])
  run('ZADD', outages, 2 * counts[4])
  run('HSET', exclusions, 2 * counts[5])
  run('HDEL', exclusions, counts[6])
  run('ZREM', gaps, counts[7])
  run('ZADD', gaps, 2 * counts[8])
  run('ZADD', verdicts, 2 * counts[9])
  if prunes then prune(kept, days, outages, gaps, verdicts) end
  local own = { 'position', position, 'pending', pending, 'vitals', vitals, 'listed', listed, 'kept', kept }
  if adds_to == '' then
    for _, word in ipairs({ 'state', state, 'whole_at', position, 'since', '' }) do own[#own + 1] = word end
  else
    own[#own + 1], own[#own + 2] = 'since', state
  end
  if changes or not stored[4] then
    own[#own + 1], own[#own + 2] = 'history', amount(days, outages)
  end
  if declares or not stored[5] then
    own[#own + 1], own[#own + 2] = 'declared', amount(exclusions, gaps)
  end
  redis.call('HSET', private, unpack(own))
  return listed == stored[2] and SAVED or SAVED_LISTS_FOLLOW
end

local outcomes = {}
for i = 1, (#KEYS - before_evses) / KEYS_PER_EVSE do
  outcomes[i] = save((i - 1) * KEYS_PER_EVSE + before_evses + 1)
end
return table.concat(outcomes)
