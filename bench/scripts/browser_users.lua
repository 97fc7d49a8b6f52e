-- Ten thousand users in turn, with the head of a browser that sends cookies.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
dofile(here .. "browser_cookie.lua")
dofile(here .. "users.lua")
