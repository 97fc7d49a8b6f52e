-- Ten thousand users in turn: no two requests of a while are alike.
init = function(args)
  requests = {}
  for i = 0, 9999 do
    requests[i] = wrk.format("GET", "/users/" .. (i + 1))
  end
  turn = 0
end

request = function()
  turn = (turn + 1) % 10000
  return requests[turn]
end
