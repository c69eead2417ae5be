#!lua
-- Let the lists that span EVSEs follow the documents.
--
-- KEYS  the trail of the writer, if it lies here; all (scores: last_updated in ms), place, states, then one set for
--       each word, in the order of ARGV
-- ARGV  the trail's last number that was acknowledged, and that of this call: both "" without a trail; the number of
--       words, then the words: statuses ("CHARGING") and online values ("online:true"); then for each EVSE
--       uid, status, online, last_updated_ms, removed ("1" or "0"), longitude, latitude ("" if unknown)
-- Reply the number of EVSEs whose entries were brought up to date; or -1: the trail is older than what was
--       acknowledged. Then nothing is written.
--
-- The lists may lag and are no state: running this twice, or late, does no harm. An entry with a newer
-- last_updated stays, so that a worker that was overtaken between its save and this call changes nothing.
-- A removed EVSE stays in `all` and among its status, and leaves the lists by place and by online.

local FIELDS_PER_EVSE = 7
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

local function leave(set, uid)
  if set then redis.call('SREM', set, uid) end
end

local function enter(set, uid)
  if set then redis.call('SADD', set, uid) end
end

local function follow(uid, status, online, last_updated_ms, removed, longitude, latitude)
  local listed = tonumber(redis.call('ZSCORE', all, uid) or '-inf') or -math.huge
  if listed > tonumber(last_updated_ms) then return 0 end
  local was_status, was_online = (redis.call('HGET', states, uid) or '/'):match('^(.*)/(.*)$')
  if was_status ~= status then leave(set_of[was_status], uid) end
  if was_online ~= online or removed then leave(set_of['online:' .. was_online], uid) end
  redis.call('ZADD', all, last_updated_ms, uid)
  enter(set_of[status], uid)
  if not removed then enter(set_of['online:' .. online], uid) end
  if removed or longitude == '' then
    redis.call('ZREM', place, uid)
  else
    redis.call('GEOADD', place, longitude, latitude, uid)
  end
  redis.call('HSET', states, uid, status .. '/' .. online)
  return 1
end

local followed = 0
for at = words + 4, #ARGV, FIELDS_PER_EVSE do
  followed = followed
    + follow(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] == '1', ARGV[at + 5], ARGV[at + 6])
end
return followed
