#!lua
-- Let the lists that span EVSEs follow the documents.
--
-- KEYS  the trail of the writer, if it lies here; all (scores: last_updated in ms), place, states, then one set for
--       each word, in the order of ARGV
-- ARGV  the trail's last number that was acknowledged, and that of this call: both "" without a trail; the number of
--       words, then the words: statuses ("CHARGING") and online values ("online:true"); then for each EVSE
--       uid, status, online, last_updated_ms, removed ("1" or "0"), longitude, latitude ("" if unknown);
--       each EVSE once
-- Reply the number of EVSEs whose entries were brought up to date; or -1: the trail is older than what was
--       acknowledged. Then nothing is written.
--
-- The lists may lag and are no state: running this twice, or late, does no harm. An entry with a newer
-- last_updated stays, so that a worker that was overtaken between its save and this call changes nothing.
-- A removed EVSE stays in `all` and among its status, and leaves the lists by place and by online.
--
-- Many EVSEs make one command on each list: a command of its own for each took most of the time (measured).

local FIELDS_PER_EVSE = 7
local MOST_EVSES = 1000 -- Lua unpacks about 8000 values onto its stack
local TRAIL_KEPT_S = 2592000
local before_lists = 0
if ARGV[2] ~= '' then
  local trail = tonumber(redis.call('GET', KEYS[1]) or '-1')
  if trail < tonumber(ARGV[1]) or trail > tonumber(ARGV[2]) then return -1 end
  redis.call('SET', KEYS[1], ARGV[2], 'EX', TRAIL_KEPT_S)
  before_lists = 1
end

local all, place, states = KEYS[before_lists + 1], KEYS[before_lists + 2], KEYS[before_lists + 3]
local words = tonumber(ARGV[3])
local set_of = {}
for i = 1, words do
  set_of[ARGV[3 + i]] = KEYS[before_lists + 3 + i]
end

-- Members that enter or leave one set, by its key.
local function note(members_of, set, uid)
  if not set then return end
  local members = members_of[set]
  if not members then
    members = {}
    members_of[set] = members
  end
  members[#members + 1] = uid
end

local function run(command, key, values)
  if #values > 0 then redis.call(command, key, unpack(values)) end
end

-- Bring the EVSEs of some arguments up to date, and say how many are.
local function follow(first, last)
  local uids = {}
  for at = first, last, FIELDS_PER_EVSE do
    uids[#uids + 1] = ARGV[at]
  end
  local listed = redis.call('ZMSCORE', all, unpack(uids))
  local stood = redis.call('HMGET', states, unpack(uids))
  local scores, stands, placed, displaced, leaving, entering = {}, {}, {}, {}, {}, {}
  for number, uid in ipairs(uids) do
    local at = first + (number - 1) * FIELDS_PER_EVSE
    local status, online, last_updated_ms = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local removed, longitude, latitude = ARGV[at + 4] == '1', ARGV[at + 5], ARGV[at + 6]
    if (tonumber(listed[number] or '-inf') or -math.huge) <= tonumber(last_updated_ms) then
      local was_status, was_online = (stood[number] or '/'):match('^(.*)/(.*)$')
      if was_status ~= status then note(leaving, set_of[was_status], uid) end
      if was_online ~= online or removed then note(leaving, set_of['online:' .. was_online], uid) end
      note(entering, set_of[status], uid)
      if not removed then note(entering, set_of['online:' .. online], uid) end
      if removed or longitude == '' then
        displaced[#displaced + 1] = uid
      else
        placed[#placed + 1], placed[#placed + 2], placed[#placed + 3] = longitude, latitude, uid
      end
      scores[#scores + 1], scores[#scores + 2] = last_updated_ms, uid
      stands[#stands + 1], stands[#stands + 2] = uid, status .. '/' .. online
    end
  end
  for set, members in pairs(leaving) do
    run('SREM', set, members)
  end
  for set, members in pairs(entering) do
    run('SADD', set, members)
  end
  run('ZADD', all, scores)
  run('ZREM', place, displaced)
  run('GEOADD', place, placed)
  run('HSET', states, stands)
  return #stands / 2
end

local followed = 0
local size = MOST_EVSES * FIELDS_PER_EVSE
for first = words + 4, #ARGV, size do
  followed = followed + follow(first, math.min(first + size, #ARGV + 1) - 1)
end
return followed
