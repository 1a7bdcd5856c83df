-- Counts for `wrk`, printed as one line that needs no guessing: "result key=value ...".
-- Every reply is compared with the upstream's pattern, of which the argument is the size; that costs wrk 4 % of its rate.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   wrong = 0
   local size = tonumber(args[1])
   local pattern = "0123456789abcdefghijklmnopqrstuvwxyz"
   local body = string.rep(pattern, math.floor(size / #pattern) + 1):sub(1, size)
   response = function(status, headers, received)
      if status ~= 200 or received ~= body then
         wrong = wrong + 1
      end
   end
end

function done(summary, latency, requests)
   local wrong = 0
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("wrong")
   end
   local e = summary.errors
   io.write(string.format(
      "result requests=%d bytes=%d duration_us=%d connect=%d read=%d write=%d status=%d timeout=%d wrong=%d\n",
      summary.requests, summary.bytes, summary.duration, e.connect, e.read, e.write, e.status, e.timeout, wrong))
end
