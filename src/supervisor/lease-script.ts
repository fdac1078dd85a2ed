import { redisScript } from '../redis/link.ts';

/*
 * Buckets that several gateways share. A bucket is a hash: `level`, and `at`, the time of that level in milliseconds of the server;
 * without one it is full. The hash of gateways has `TIME PROCESSES` for each.
 */

/**
 * Keeps this gateway known, and serves asks. Redis runs it as a whole.
 *
 * Keys: hash of gateways; then a bucket for each ask. Arguments: id and processes of this gateway, milliseconds after which a silent
 * gateway is gone; then for each ask: most, period in milliseconds, used, back, want, need. Answers gateways, processes, then for each ask
 * the grant and the level, as texts.
 */
export const LEASE = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
local gateways, processes = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, count = string.match(all[i + 1], '^(%d+) (%d+)$')
  if at and now - tonumber(at) <= tonumber(ARGV[3]) then
    gateways, processes = gateways + 1, processes + tonumber(count)
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
local answer = { tostring(gateways), tostring(processes) }
for i = 2, #KEYS do
  local base = 4 + (i - 2) * 6
  local most, period = tonumber(ARGV[base]), tonumber(ARGV[base + 1])
  local used, back = tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
  local want, need = tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  local known = redis.call('HMGET', KEYS[i], 'level', 'at')
  local level, at = tonumber(known[1] or ''), tonumber(known[2] or '')
  if level and at then
    level = math.min(most, level + math.max(0, now - at) * most / period)
  else
    level = most
  end
  level = math.min(most, level + back) - used
  local granted = 0
  if want > 0 and level >= need then
    granted = math.min(want, math.max(need, math.floor(level / 2)))
    level = level - granted
  end
  if level >= most then
    redis.call('DEL', KEYS[i])
  else
    redis.call('HSET', KEYS[i], 'level', string.format('%.6f', level), 'at', string.format('%.3f', now))
    redis.call('PEXPIRE', KEYS[i], math.ceil((most - level) * period / most) + 1000)
  end
  answer[#answer + 1] = string.format('%.0f', granted)
  answer[#answer + 1] = string.format('%.6f', level)
end
return answer
`);
