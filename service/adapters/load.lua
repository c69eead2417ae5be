#!lua flags=no-writes
-- Read what the worker keeps of many EVSEs of one node (in a cluster: of one slot), each as of one instant.
--
-- KEYS  five for each EVSE: private, days, outages, exclusions, gaps (schemas/view.py tells what they hold)
-- Reply for each EVSE an empty list if nothing is kept, or
--         {position, state, pending, {field, JSON, field, JSON, …} of its days, {JSON, …} of its outages by end,
--         1 where these are as many as the last save left, else 0: somebody deleted some; the same of exclusions
--         and gaps; what was added to the state since, and the position as of which it is, each "" without}
--
-- A script, since three commands for each EVSE cost the client two to three times the CPU (measured).

local KEYS_PER_EVSE = 5
local found = {}
for i = 1, #KEYS / KEYS_PER_EVSE do
  local first = (i - 1) * KEYS_PER_EVSE + 1
  local private = redis.call('HMGET', KEYS[first], 'position', 'state', 'pending', 'history', 'declared',
    'since', 'whole_at')
  if private[1] then
    local days, outages = redis.call('HGETALL', KEYS[first + 1]), redis.call('ZRANGE', KEYS[first + 2], 0, -1)
    local is_whole = not private[4] or private[4] == #days / 2 .. '|' .. #outages
    local declared = redis.call('HLEN', KEYS[first + 3]) .. '|' .. redis.call('ZCARD', KEYS[first + 4])
    local has_declared = not private[5] or private[5] == declared
    found[i] = {private[1], private[2], private[3], days, outages, is_whole and 1 or 0, has_declared and 1 or 0,
      private[6] or '', private[7] or ''}
  else
    found[i] = {}
  end
end
return found
