-- Ten paths in turn, spread over the routes: the table holds NUMBER routes of two kinds, and
-- the paths are those of every tenth part of it. Argument: NUMBER.
init = function(args)
  local number = tonumber(args[1])
  requests = {}
  for i = 0, 9 do
    local route = math.floor(i * (number - 1) / 9)
    requests[i] = wrk.format("GET", "/section-" .. route .. "/" .. (1000 + i))
  end
  turn = 0
end

request = function()
  turn = (turn + 1) % 10
  return requests[turn]
end
