-- What a request accepts and is: req:get, is, accepts and its kin (RFC 9110 12).
local helper = require("spec.helper")

describe("req", function()
  local server

  setup(function()
    server = helper.serve_handler([[
      local args = {}
      for word in (req.query.args or ""):gmatch("[^|]+") do args[#args + 1] = word end
      local answer = req[req.query.method](req, unpack(args))
      return { answer = type(answer) == "table" and table.concat(answer, "|") or answer == nil and "nil" or answer }]],
      { before = "local unpack = table.unpack or unpack" })
  end)

  local function ask(method, args, headers, body)
    local path = ("/?method=%s&args=%s"):format(method, (args or ""):gsub("%+", "%%2B"))
    local response = helper.request(server, { path = path, headers = headers, body = body,
      method = body and "POST" or "GET" })
    assert.equal(200, response.status, response.body)
    local answer = require("cjson").decode(response.body).answer
    return answer
  end

  it("get finds headers in any case", function()
    assert.equal("b", ask("get", "X-A", { ["x-a"] = "b" }))
    assert.equal("nil", ask("get", "X-A"))
    assert.equal("http://a/", ask("get", "Referrer", { Referer = "http://a/" }))
    assert.equal("nil", ask("get", "__index"))
  end)

  describe("accepts", function()
    local function accepts(header, args)
      return ask("accepts", args, { Accept = header })
    end

    it("takes what the client wants most", function()
      assert.equal("html", accepts("text/html", "html"))
      assert.equal("text/html", accepts("text/*, application/json", "text/html"))
      assert.is_false(accepts("text/*, application/json", "png"))
      assert.is_false(accepts("text/*, application/json", "image/png"))
      assert.equal("json", accepts("text/*;q=.5, application/json", "html|json"))
      assert.equal("json", accepts("text/html;q=0.5, application/json;q=0.9", "html|json"))
      assert.equal("html", accepts("*/*", "html|json"))
      assert.equal("html", accepts(nil, "html|json"))
      assert.equal("json", accepts("text/html, application/json", "json"))
      assert.is_false(accepts("text/html;q=0, */*", "html"))
      assert.is_false(accepts("application/json", "html|txt"))
    end)

    it("lets what is said more exactly win", function()
      assert.equal("text/plain", accepts("text/*;q=0.1, text/plain;q=0.9, */*;q=0.5", "text/html|image/png|text/plain"))
      assert.equal("text/html;level=1", accepts("text/html;level=1, text/html;q=0.7", "text/html|text/html;level=1"))
    end)

    it("without arguments lists what is accepted, the best first", function()
      assert.equal("c/d|a/b|*/*", accepts("a/b;q=0.5, c/d, */*;q=0.1, e/f;q=0", ""))
      assert.equal("*/*", accepts(nil, ""))
    end)

    it("survives what is malformed", function()
      assert.equal("html", accepts("text/html;q=x", "html"))
      assert.equal("html", accepts(',,;q=1, "a,b";x="c,d", text/html', "html"))
      assert.is_false(accepts("text", "html"))
      assert.is_false(accepts(("a/b,"):rep(5000), "html"))
    end)
  end)

  it("acceptsEncodings takes identity unless it is refused", function()
    local function accepts(header, args) return ask("acceptsEncodings", args, { ["Accept-Encoding"] = header }) end
    assert.equal("gzip", accepts("gzip;q=0.5, deflate;q=0.3", "gzip|deflate"))
    assert.equal("br", accepts("gzip;q=0.5, br", "gzip|br|identity"))
    assert.equal("identity", accepts("br", "gzip|identity"))
    assert.equal("identity", accepts(nil, "gzip|identity"))
    assert.is_false(accepts("identity;q=0", "identity"))
    assert.is_false(accepts("*;q=0", "identity|gzip"))
    assert.equal("gzip|identity", accepts("gzip", ""))
  end)

  it("acceptsCharsets and acceptsLanguages know their headers", function()
    assert.equal("utf-8", ask("acceptsCharsets", "iso-8859-1|utf-8",
      { ["Accept-Charset"] = "utf-8, iso-8859-1;q=0.5" }))
    assert.equal("utf-8", ask("acceptsCharsets", "utf-8"))
    local function accepts(header, args) return ask("acceptsLanguages", args, { ["Accept-Language"] = header }) end
    assert.equal("de", accepts("de-CH, de;q=0.9, en;q=0.8", "en|de"))
    assert.equal("en-US", accepts("en", "fr|en-US"))
    assert.equal("en", accepts("en-GB", "fr|en"))
    assert.is_false(accepts("fr", "en|de"))
    assert.equal("fr", accepts("de;q=0, *", "de|fr"))
    assert.equal("en", accepts(nil, "en|de"))
  end)

  it("is compares the type of the body", function()
    local function is(kind, args) return ask("is", args, { ["Content-Type"] = kind }, "x") end
    assert.equal("json", is("application/json; charset=utf-8", "json"))
    assert.equal("html", is("TEXT/HTML", "json|html"))
    assert.equal("text/html", is("text/html", "text/*"))
    assert.equal("application/vnd.api+json", is("application/vnd.api+json", "+json"))
    assert.equal("urlencoded", is("application/x-www-form-urlencoded", "urlencoded"))
    assert.equal("multipart/form-data", is("multipart/form-data; boundary=x", "multipart"))
    assert.equal("text/html", is("text/html", ""))
    assert.is_false(is("text/html", "json"))
    assert.is_false(is(nil, "json"))
    assert.is_false(is("nonsense", "json"))
    assert.equal("nil", ask("is", "json"))
  end)
end)
