-- One exchange of ai_dev_squad.costs.stores, done as a whole by the server, by the server's own clock.
--
-- KEYS[1]     the number of the sender's last exchange
-- KEYS[2...]  three for each line: its sums (hash), its leases (sorted set of holds by end), its budget's keys (sorted set)
-- ARGV[1]     the exchange as JSON; amounts are pairs of whole dollars and picodollars, both exact as doubles
--
-- Answers five strings for each line: spent and reserved as pairs of one string each, unpriced, thresholds told of,
-- thresholds to tell of; then one number for each ask: 0, or the position of the claim that has no room.

local PICO = 1e12
local exchange = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + exchange.lease_ms

local function text(number) return string.format('%.0f', number) end
local function sums_of(line) return KEYS[3 * line - 1] end
local function leases_of(line) return KEYS[3 * line] end
local function keys_of(line) return KEYS[3 * line + 1] end

local function less(d, p, than_d, than_p) return d < than_d or (d == than_d and p < than_p) end

local function read(line, name)
  local values = redis.call('HMGET', sums_of(line), name .. '$', name .. 'p')
  return tonumber(values[1] or '0'), tonumber(values[2] or '0')
end

local function plus(d, p, more_d, more_p)
  d, p = d + more_d, p + more_p
  if p >= PICO then d, p = d + 1, p - PICO elseif p < 0 then d, p = d - 1, p + PICO end
  if d < 0 then return 0, 0 end
  return d, p
end

local function write(line, name, d, p)
  redis.call('HSET', sums_of(line), name .. '$', text(d), name .. 'p', text(p))
end

local function outlive(line)
  local lasts = exchange.lines[line].lasts_ms
  if lasts > 0 then
    for _, key in ipairs({ sums_of(line), leases_of(line), keys_of(line) }) do
      redis.call('PEXPIRE', key, text(lasts))
    end
  end
end

local function drop(line, hold)
  local held = redis.call('HGET', sums_of(line), 'h:' .. hold)
  if held then
    local d, p = string.match(held, '^(%d+) (%d+)$')
    local reserved_d, reserved_p = read(line, 'r')
    write(line, 'r', plus(reserved_d, reserved_p, -tonumber(d), -tonumber(p)))
    redis.call('HDEL', sums_of(line), 'h:' .. hold)
  end
  redis.call('ZREM', leases_of(line), hold)
end

local function hold_amount(line, hold, d, p)
  local reserved_d, reserved_p = read(line, 'r')
  write(line, 'r', plus(reserved_d, reserved_p, d, p))
  redis.call('HSET', sums_of(line), 'h:' .. hold, text(d) .. ' ' .. text(p))
  redis.call('ZADD', leases_of(line), text(ends), hold)
  outlive(line)
end

local function is_held(line, hold) return redis.call('HEXISTS', sums_of(line), 'h:' .. hold) == 1 end

for line = 1, #exchange.lines do
  for _, hold in ipairs(redis.call('ZRANGEBYSCORE', leases_of(line), '-inf', text(now), 'LIMIT', 0, 1000)) do
    drop(line, hold)
  end
end

local is_new = true
if exchange.charges then
  local last = redis.call('GET', KEYS[1])
  is_new = not last or tonumber(last) < exchange.number
  redis.call('SET', KEYS[1], text(exchange.number), 'EX', 604800)
end

for number, line in ipairs(exchange.lines) do
  if is_new then
    local d, p = read(number, 's')
    local spent_d, spent_p = d, p
    if less(d, p, line.known[1], line.known[2]) then spent_d, spent_p = line.known[1], line.known[2] end
    spent_d, spent_p = plus(spent_d, spent_p, line.charge[1], line.charge[2])
    if spent_d ~= d or spent_p ~= p then write(number, 's', spent_d, spent_p) end
    local unpriced = tonumber(redis.call('HGET', sums_of(number), 'u') or '0')
    local counted = math.max(unpriced, line.known_unpriced) + line.unpriced
    if counted ~= unpriced then redis.call('HSET', sums_of(number), 'u', text(counted)) end
    if spent_d ~= d or spent_p ~= p or counted ~= unpriced then
      redis.call('ZADD', keys_of(number), text(now), line.key)
      redis.call('ZREMRANGEBYRANK', keys_of(number), 0, -100001)
      outlive(number)
    end
  end
end

for _, held in ipairs(exchange.given_back) do
  for _, line in ipairs(held.lines) do drop(line, held.hold) end
end

for _, held in ipairs(exchange.kept) do
  for _, amount in ipairs(held.amounts) do
    if is_held(amount[1], held.hold) then
      redis.call('ZADD', leases_of(amount[1]), text(ends), held.hold)
    else
      hold_amount(amount[1], held.hold, amount[2], amount[3])
    end
  end
end

local crossed, alerted = {}, {}
for number, line in ipairs(exchange.lines) do
  crossed[number], alerted[number] = {}, {}
  for _, name in ipairs(line.alerted) do redis.call('HSET', sums_of(number), 't:' .. name, 1) end
  local d, p = read(number, 's')
  for _, threshold in ipairs(line.thresholds) do
    local field = 't:' .. threshold[3]
    if less(d, p, threshold[1], threshold[2]) then
      redis.call('HDEL', sums_of(number), field)
    else
      if redis.call('HSETNX', sums_of(number), field, 1) == 1 then table.insert(crossed[number], threshold[3]) end
      table.insert(alerted[number], threshold[3])
    end
  end
end

local refused = {}
for number, ask in ipairs(exchange.asks) do
  refused[number] = 0
  local first = ask.claims[1]
  if not is_held(first[1], ask.hold) then
    for position, claim in ipairs(ask.claims) do
      local spent_d, spent_p = read(claim[1], 's')
      local reserved_d, reserved_p = read(claim[1], 'r')
      local d, p = plus(spent_d, spent_p, reserved_d, reserved_p)
      d, p = plus(d, p, claim[4], claim[5])
      if less(claim[2], claim[3], d, p) then
        refused[number] = position
        break
      end
    end
    if refused[number] == 0 then
      for _, claim in ipairs(ask.claims) do
        if claim[6] > 0 or claim[7] > 0 then hold_amount(claim[1], ask.hold, claim[6], claim[7]) end
      end
    end
  end
end

local answer = {}
for number = 1, #exchange.lines do
  local spent_d, spent_p = read(number, 's')
  local reserved_d, reserved_p = read(number, 'r')
  table.insert(answer, text(spent_d) .. ' ' .. text(spent_p))
  table.insert(answer, text(reserved_d) .. ' ' .. text(reserved_p))
  table.insert(answer, redis.call('HGET', sums_of(number), 'u') or '0')
  table.insert(answer, table.concat(alerted[number], ' '))
  table.insert(answer, table.concat(crossed[number], ' '))
end
for number = 1, #refused do table.insert(answer, text(refused[number])) end
return answer
