#!lua
-- Prove that no write of this writer is gone and that the server takes writes, and write checkpoints.
--
-- KEYS  the trail of the writer; then the checkpoint of each partition
-- ARGV  the trail's last number that was acknowledged, and that of this call; then for each partition
--         epoch, next_offset, rejections_in_a_row, ingest, mark ("day|next_offset" or ""), counted_until,
--         in a cluster tags: the hash tags under which this checkpoint is kept; slots: what the node is known to
--         have whole, or "" if it says so already; else both ""
-- Reply 1; or -1: the trail is older than what was acknowledged, so that writes the writer was told of are gone. Then
--       nothing is written.
--
-- A checkpoint never goes back within its epoch: a worker that was overtaken changes nothing.

local FIELDS = 8
local TRAIL_KEPT_S = 2592000
local trail = tonumber(redis.call('GET', KEYS[1]) or '-1')
if trail < tonumber(ARGV[1]) or trail > tonumber(ARGV[2]) then return -1 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', TRAIL_KEPT_S)

for i = 2, #KEYS do
  local at = 2 + (i - 2) * FIELDS
  local epoch, next_offset = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local stored = redis.call('HMGET', KEYS[i], 'epoch', 'next_offset')
  local stored_epoch, stored_offset = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
  if epoch > stored_epoch or (epoch == stored_epoch and next_offset >= stored_offset) then
    redis.call('HSET', KEYS[i], 'epoch', ARGV[at + 1], 'next_offset', ARGV[at + 2],
      'rejections_in_a_row', ARGV[at + 3], 'ingest', ARGV[at + 4], 'mark', ARGV[at + 5],
      'counted_until', ARGV[at + 6], 'tags', ARGV[at + 7])
    if ARGV[at + 8] ~= '' then redis.call('HSET', KEYS[i], 'slots', ARGV[at + 8]) end
  end
end
return 1
