import { redisScript } from '../../redis/link.ts';
import { FAR_AHEAD_MS } from './records.ts';

/* Changes of the hash of named keys; Redis runs each as a whole. */

/** A mark is read in the form in which the gateway reads it, and one that is not believed there is none here (`records.ts`). */
const BELIEVED = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function believed(digits)
  local version = digits and #digits <= 16 and tonumber(digits) or 0
  return version <= now + ${FAR_AHEAD_MS} and version or 0
end
local function parts(mark)
  local digits, name = string.match(mark, '^1 (%d+) ([%w_]+)$')
  if digits and #digits <= 16 and #name <= 64 then return digits, name end
end
`;

/**
 * One change, if the record is still as it was read.
 *
 * Keys: hash, hash of last uses. Arguments: id, record as it was read (empty = none), new record in JSON (empty = none),
 * channel, most records, name of a new hash, version that the caller knows of. Answers `ok`, `conflict`, `full` or `foreign`.
 */
export const CHANGE = redisScript(`${BELIEVED}
local mark = redis.call('HGET', KEYS[1], '@')
local version, origin = 0, ARGV[6]
if mark then
  local digits, name = parts(mark)
  if not digits then return 'foreign' end
  version, origin = believed(digits), name
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  return 'foreign'
end
local was = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if was ~= ARGV[2] then return 'conflict' end
-- A record that another client wrote may be ahead of the mark, and the mark behind a gateway: a change that passes neither would be undone.
version = math.max(version, believed(string.match(was, '^(%d+) ')), believed(ARGV[7]))
if was == '' and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[5]) then return 'full' end
local text = string.format('%.0f', math.max(version + 1, now))
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], text .. ' ' .. ARGV[3])
end
redis.call('HSET', KEYS[1], '@', '1 ' .. text .. ' ' .. origin)
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 'ok'
`);

/**
 * Gives back what the hash has lost, if nothing has changed since it was read.
 *
 * Keys: hash. Arguments: mark as it was read (empty = none), new mark, channel, number of records; then each id and record;
 * then ids to remove. Answers `ok` or `conflict`.
 */
export const REPAIR = redisScript(`${BELIEVED}
if (redis.call('HGET', KEYS[1], '@') or '') ~= ARGV[1] then return 'conflict' end
local next = believed(parts(ARGV[2]))
-- The clock of the gateway may be wrong.
if next == 0 or next < believed(parts(ARGV[1])) then return 'conflict' end
local set = tonumber(ARGV[4])
for i = 5, 4 + 2 * set, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 5 + 2 * set, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[1], '@', ARGV[2])
redis.call('PUBLISH', ARGV[3], '1')
return 'ok'
`);

/** Minutes of last use that are later than those that are there. Keys: hash of last uses, hash. Arguments: ids and minutes. */
export const USE = redisScript(`
for i = 1, #ARGV, 2 do
  local minute = tonumber(ARGV[i + 1])
  if minute > (tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') or 0)
    and redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 'ok'
`);
