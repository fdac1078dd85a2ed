import { redisScript } from '../redis/link.ts';

/*
 * Buckets that several gateways share. A bucket is a hash: `level`, and `at`, the time of that level in milliseconds of the server;
 * without one it is full, and with what is no number it is empty. The hash of gateways has `TIME PROCESSES` for each.
 */

/**
 * Keeps this gateway known, and serves asks. Redis runs it as a whole. A field of a gateway whose time is not within the time limit of now, on
 * either side, or whose count is not from 1 to 1024, is removed.
 *
 * INVARIANT: a bucket is served or left as it is. So what may fail comes before the one command that changes its level.
 *
 * An exchange with the turn of the last one of its process is not served again, but gets the same answer; one with an earlier turn, which
 * a hung server finds on an old connection, is not served either. So a process may ask again where no answer came.
 *
 * Keys: hash of gateways; hash of the last exchange of the process; then a bucket for each ask. Arguments: id and processes of this
 * gateway, milliseconds after which a silent gateway is gone, number of the turn, empty without asks; then for each ask: most, period in milliseconds, used, back, want, need. Answers gateways, processes, then for each ask
 * the grant and the level, as texts; for a bucket that failed an empty text and the error.
 */
export const LEASE = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local gone = tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
local gateways, processes = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, count = string.match(all[i + 1], '^(%d+) (%d+)$')
  at, count = tonumber(at or ''), tonumber(count or '')
  if at and math.abs(now - at) <= gone and count >= 1 and count <= 1024 then
    gateways, processes = gateways + 1, processes + count
  else
    redis.pcall('HDEL', KEYS[1], all[i])
  end
end
local function within(figure, bound)
  return figure and figure >= -bound and figure <= bound
end
local function serve(key, base)
  local most, period = tonumber(ARGV[base]), tonumber(ARGV[base + 1])
  local used, back = tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
  local want, need = tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  local known = redis.call('HMGET', key, 'level', 'at')
  local level, at = most, now
  if known[1] or known[2] then
    level, at = tonumber(known[1] or ''), tonumber(known[2] or '')
    if not (within(level, 1e15) and within(at, 1e15)) then level, at = 0, now end
  end
  level = math.min(most, level + math.max(0, now - at) * most / period)
  level = math.min(most, level + back) - used
  local granted = 0
  if want > 0 and level >= need then
    granted = math.min(want, math.max(need, math.floor(level / 2)))
    level = level - granted
  end
  if level >= most then
    redis.call('DEL', key)
  else
    local life = string.format('%.0f', math.min(1e12, math.ceil((most - level) * period / most) + 1000))
    -- Also where there is no bucket yet: it is refused before anything is written.
    local is_there = redis.call('PEXPIRE', key, life)
    redis.call('HSET', key, 'level', string.format('%.6f', level), 'at', string.format('%.3f', now))
    if is_there == 0 then redis.call('PEXPIRE', key, life) end
  end
  return granted, level
end
local answer = { tostring(gateways), tostring(processes) }
local function told(problem)
  local text = type(problem) == 'table' and problem.err or tostring(problem)
  return (string.gsub(text, '%c', ' '))
end
-- Without an answer for a bucket it counts as failed.
local function for_all(problem)
  for i = #answer + 1, 2 + 2 * (#KEYS - 2) do answer[i] = i % 2 == 1 and '' or problem end
  return answer
end
local turn = tonumber(ARGV[4])
if turn then
  local ok, last = pcall(function()
    -- Also where there is no hash yet: it is refused before anything is written.
    redis.call('PEXPIRE', KEYS[2], 600000)
    return redis.call('HMGET', KEYS[2], 'turn', 'answer')
  end)
  if not ok then return for_all(told(last)) end
  local known = tonumber(last[1] or '')
  -- A number far ahead is not of this process.
  if known and turn <= known and known - turn < 1000 then
    if turn == known then
      for text in string.gmatch(last[2] or '', '([^\\n]*)\\n') do answer[#answer + 1] = text end
    end
    return for_all('LOST')
  end
  -- Before anything is served: what fails here is served by the next attempt. Until the end there is no answer.
  redis.call('HSET', KEYS[2], 'turn', ARGV[4], 'answer', '')
  redis.call('PEXPIRE', KEYS[2], 600000)
end
for i = 3, #KEYS do
  local ok, granted, level = pcall(serve, KEYS[i], 5 + (i - 3) * 6)
  if ok then
    answer[#answer + 1] = string.format('%.0f', granted)
    answer[#answer + 1] = string.format('%.6f', level)
  else
    answer[#answer + 1] = ''
    answer[#answer + 1] = told(granted)
  end
end
if turn then redis.pcall('HSET', KEYS[2], 'answer', table.concat(answer, '\\n', 3) .. '\\n') end
return answer
`);
