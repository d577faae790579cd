package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// TestOperators: for every operator of assertions one that holds, and one that must not pass.
func TestOperators(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct{ holds, not string }{
		{`body.n == 3`, `body.n == 4`},
		{`body.n != 4`, `body.n != 3`},
		{`body.n < 4`, `body.n < 3`},
		{`body.n <= 3`, `body.n <= 2`},
		{`body.n > 2`, `body.n > 3`},
		{`body.n >= 3`, `body.n >= 4`},
		{`body.name startsWith "b"`, `body.name startsWith "o"`},
		{`body.name endsWith "b"`, `body.name endsWith "o"`},
		{`body.name contains "ob"`, `body.name contains "x"`},
		{`body.name matches "^b.b$"`, `body.name matches "^o"`},
		{`body.name in ["bob", "eve"]`, `body.name in ["eve"]`},
		{`body.name not in ["eve"]`, `body.name not in ["bob"]`},
		{`"name" in body`, `"nam" in body`},
		{`body.ok`, `!body.ok`},
		{`not (body.n == 4)`, `not (body.n == 3)`},
		{`body.n == 3 and body.ok`, `body.n == 3 and body.n == 4`},
		{`body.n == 3 && body.ok`, `body.n == 4 && body.ok`},
		{`body.n == 4 or body.ok`, `body.n == 4 or body.n == 5`},
		{`body.n == 4 || body.ok`, `body.n == 4 || !body.ok`},
		{`(body.ok ? body.n : 0) == 3`, `(body.ok ? body.n : 0) == 0`},
		{`body.n + 1 == 4`, `body.n + 1 == 3`},
		{`body.n - 1 == 2`, `body.n * 2 == 5`},
		{`body.n % 2 == 1`, `body.n / 2 == 1`},
		{`body.n ** 2 == 9`, `body.n ** 2 == 8`},
		{`body.big == 9007199254740993`, `body.big == 9007199254740992`},
		{`body.huge == "123456789012345678901234567890"`, `body.huge == "123456789012345678901234567891"`},
		{`body.f == 1.5`, `body.f == 1.25`},
		{`body.nothing == nil`, `body.nothing != nil`},
		{`body.list == [1, 2, 3]`, `body.list == [1, 2]`},
		{`body.list != [3, 2, 1]`, `body.list != [1, 2, 3]`},
		{`body.o == {"a": 1}`, `body.o == {"a": 2}`},
		{`2 in body.list`, `9 in body.list`},
		{`body.list[0] == 1`, `body.list[1] == 1`},
		{`body.list[-1] == 3`, `body.list[-1] == 1`},
		{`body.items[1].id == "b"`, `body.items[1].id == "a"`},
		{`all(body.items, .qty > 0)`, `all(body.items, .qty > 1)`},
		{`any(body.items, .qty > 1)`, `any(body.items, .qty > 2)`},
		{`none(body.items, .qty > 2)`, `none(body.items, .qty > 1)`},
		{`one(body.items, .qty > 1)`, `one(body.items, .qty > 0)`},
		{`count(body.items, .qty > 0) == 2`, `count(body.items, .qty > 1) == 2`},
		{`len(body.list) == 3`, `len(body.list) == 2`},
		{`sum(body.list) == 6`, `sum(body.list) == 5`},
		{`max(body.list) == 3`, `max(body.list) == 2`},
		{`min(body.list) == 1`, `min(body.list) == 2`},
		{`mean(body.list) == 2`, `mean(body.list) == 1`},
		{`median(body.list) == 2`, `median(body.list) == 1`},
		{`first(body.list) == 1`, `first(body.list) == 2`},
		{`last(body.list) == 3`, `last(body.list) == 2`},
		{`find(body.items, .qty == 2).id == "b"`, `find(body.items, .qty == 2).id == "a"`},
		{`findLast(body.items, .qty > 0).id == "b"`, `findLast(body.items, .qty > 0).id == "a"`},
		{`filter(body.items, .qty == 1)[0].id == "a"`, `filter(body.items, .qty == 1)[0].id == "b"`},
		{`map(body.items, .id) == ["a", "b"]`, `map(body.items, .id) == ["b", "a"]`},
		{`body.list[0:2] == [1, 2]`, `body.list[0:2] == [1]`},
		{`lower("ABC") + body.name == "abcbob"`, `upper(body.name) == "bob"`},
		{`has(body, "name")`, `has(body, "nam")`},
		{`let x = body.n; x + 1 == 4`, `let x = body.n; x == 4`},
		{`body.name | upper() == "BOB"`, `body.name | upper() == "bob"`},
		{`headers["Content-Type"] startsWith "application/json"`, `headers["content-type"] == "text/html"`},
		{`sha256(body.name) == "81b637d8fcd2c6da6359e6963113a1170de795e4b725b84d1e0b4cfd9ec58ce9"`, `sha256(raw) == "00"`},
		{`latency < duration("1m")`, `latency > duration("1m")`},
		{`p95(latencies) < duration("1m")`, `p95(latencies) > duration("1m")`},
		{`p50(latencies) <= p99(latencies)`, `p50(latencies) > p99(latencies)`},
		{`status in 200..299`, `status in 300..399`},
		{`url endsWith "/thing"`, `url endsWith "/other"`},
		{`len(cookies) == 0`, `len(cookies) == 1`},
	} {
		check := func(expression string) Result {
			return s.run(t, fmt.Sprintf("version: 1\nsteps:\n- request: GET /thing\n  assert:\n  - |-\n    %s\n", expression))
		}
		want(t, check(c.holds), Pass, "")
		want(t, check(c.not), Fail, "")
	}
}

// TestNothingPassesByAccident: what would be true in the expression library's own way, or by a slip of the hand.
func TestNothingPassesByAccident(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for expression, message := range map[string]string{
		`body.nam != "bob"`:                          `body.nam: there is no field "nam" (did you mean "name"?)`,
		`body.o.b == nil`:                            `body.o.b: there is no field "b"`,
		`!body.okay`:                                 `no field "okay"`,
		`body.name.first != "x"`:                     `a text has no fields`,
		`body.nothing.x != 1`:                        `null has no fields`,
		`body.list[9] != 1`:                          `the list has 3 items`,
		`body.list["a"] != 1`:                        `the item of a list is a number`,
		`body.items[0].qyt != 1`:                     `body.items[0].qyt`,
		`none(body.items, .qyt > 5)`:                 `no field "qyt"`,
		`headers["x-nothing"] != "a"`:                `there is no header`,
		`cookies.session != "a"`:                     `there are none`,
		`body.n != "3"`:                              `a number is compared with a text`,
		`body.name != 3`:                             `a text is compared with a number`,
		`body.ok != "true"`:                          `true or false is compared with a text`,
		`body.list != "1"`:                           `a list is compared with a text`,
		`"3" not in body.list`:                       `a text is compared with a number`,
		`body.n not in ["3"]`:                        `a number is compared with a text`,
		`all(body.empty, .qty > 0)`:                  `all of an empty list says nothing`,
		`none(body.empty, .qty > 0)`:                 `none of an empty list says nothing`,
		`mean(body.empty) < 1`:                       `mean of an empty list says nothing`,
		`max(body.empty) < 1`:                        `max of an empty list says nothing`,
		`first(body.empty) != 1`:                     `first found nothing`,
		`find(body.items, .qty > 9) != {"a": 1}`:     `find found nothing`,
		`body.name`:                                  `is a text, not true or false`,
		`body.nothing`:                               `is null, not true or false`,
		`body.n > "2"`:                               ``,
		`body.name > 2`:                              ``,
		`body.nothing < 5`:                           ``,
		`certificate.subject != ""`:                  `did not come by TLS`,
		`p95([]) < duration("1s") and status == 200`: `a percentile needs`,
		`sha256(body) != ""`:                         `sha256 takes a text`,
		`release.revision != body.name`:              `no field "revision"`,
	} {
		r := s.run(t, fmt.Sprintf("version: 1\nsteps:\n- request: GET /thing\n  assert:\n  - |-\n    %s\n", expression))
		want(t, r, Fail, message)
	}
}

// TestRules: every rule of a gate that must fail closed, as a scenario that must not pass.
func TestRules(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		name, content string
		verdict       Verdict
		message       string
	}{
		{"implicit status", "steps: [{request: GET /broken}]", Fail, "status < 400: 500 against 400"},
		{"implicit beside others", "steps: [{request: GET /broken, assert: [body contains 'oops']}]", Fail, "status < 400"},
		{"no such path", "steps: [{request: GET /nowhere}]", Fail, "404 against 400"},
		{"no answer", "steps: [{request: 'GET http://127.0.0.1:1/'}]", Error, "no answer"},
		{"no name", "steps: [{request: 'GET http://no-such-host.invalid/'}]", Error, "no answer"},
		{"time limit of a step", "steps: [{request: GET /slow, timeout: 50ms}]", Error, "no answer within the step's time limit"},
		{"time limit", "timeout: 50ms\nsteps: [{request: GET /slow}]", Error, "time limit of 50ms"},
		{"not JSON", "steps: [{request: GET /liar, assert: ['body.a != 1']}]", Fail, "is not JSON"},
		{"text is no object", "steps: [{request: GET /text, assert: ['body.a != 1']}]", Fail, "a text has no fields"},
		{"schema", "steps: [{request: GET /thing, schema: {required: [other]}}]", Fail, "missing property 'other'"},
		{"schema of text", "steps: [{request: GET /text, schema: {type: object}}]", Fail, "not JSON"},
		{"big integer in a schema", "steps: [{request: GET /thing, schema: {properties: {big: {const: 9007199254740992}}}}]", Fail, "body.big"},
		{"capture", "steps: [{name: a, request: GET /thing, capture: {x: body.x}}]", Fail, `capture x: body.x: there is no field "x"`},
		{"capture of null", "steps: [{name: a, request: GET /thing, capture: {x: body.nothing}}]", Fail, "is null"},
		{"later step after a failure", "steps: [{request: GET /broken}, {request: GET /thing}]", Fail, "status < 400"},
		{"right release", "expect_release: {header: X-Release, is: version}\nsteps: [{request: GET /text}]", Pass, ""},
		{"wrong release, header", "expect_release: {header: Content-Type}\nsteps: [{request: GET /text}]", Fail, "another release answered"},
		{"right release, socket", "expect_release: {header: X-Release}\nsteps: [{websocket: {url: /socket, send: [a]}}]", Pass, ""},
		{"wrong release, socket", "expect_release: {header: Upgrade}\nsteps: [{websocket: {url: /socket, send: [a]}}]", Fail, `another release answered: "websocket" instead of "v2"`},
		{"wrong release, field", "expect_release: {request: GET /thing, field: body.name}\nsteps: [{request: GET /text}]", Fail, `(body.name) == release.version: "bob" against "v2"`},
		{"unknown release", "expect_release: {header: X-Release, is: revision}\nsteps: [{request: GET /text}]", Error, "release's revision, which is not known here"},
		{"setup blames nobody", "setup: [{request: GET /broken}]\nsteps: [{request: GET /thing}]", Error, "status < 400"},
		{"cleanup that fails", "steps: [{request: GET /thing}]\ncleanup: [{request: GET /broken}]", Error, "status < 400"},
		{"no secret", "secrets: [NOTHING]\nsteps: [{request: GET /thing}]", Error, "the secret NOTHING has no value"},
		{"no secret file", "secrets: {A: {file: /no/such/file}}\nsteps: [{request: GET /thing}]", Error, "the secret A cannot be read"},
		{"no var", "vars: {a: null}\nsteps: [{request: GET /thing}]", Error, "the var a has no value"},
		{"null in a text", "vars: {a: [1]}\nsteps: [{request: 'GET /thing/${{ vars.a }}'}]", Error, "has no text"},
		{"empty foreach", "steps: [{name: a, request: GET /thing, capture: {x: body.empty}}, {foreach: steps.a.x, steps: [{request: GET /thing}]}]", Error, "empty list"},
		{"foreach of no list", "steps: [{name: a, request: GET /thing, capture: {x: body.name}}, {foreach: steps.a.x, steps: [{request: GET /thing}]}]", Error, "needs a list"},
		{"foreach one bad", "steps: [{foreach: [thing, broken], steps: [{request: 'GET /${{ item }}'}]}]", Fail, "status < 400"},
		{"parallel one bad", "steps: [{parallel: [{request: GET /thing}, {request: GET /broken}]}]", Fail, "status < 400"},
		{"retry without end", "steps: [{request: GET /broken, retry: {timeout: 60ms, interval: 10ms}}]", Fail, "status < 400"},
		{"retry attempts", "steps: [{request: GET /broken, retry: {attempts: 2, interval: 1ms}}]", Fail, "after 2 attempts"},
		{"repeat one bad", "steps: [{request: GET /pending, repeat: 4, assert: ['body.state == \"pending\"']}]", Fail, `"ready" against "pending"`},
		{"run fails", "steps: [{run: [sh, -c, exit 3]}]", Fail, "exit_code == 0: 3 against 0"},
		{"run missing", "steps: [{run: [/no/such/program]}]", Error, "/no/such/program"},
		{"run killed", "steps: [{run: [sh, -c, 'kill -9 $$']}]", Error, "was ended"},
		{"run too long", "steps: [{run: [sleep, '60'], timeout: 100ms}]", Error, "time limit"},
		{"run says nothing", "steps: [{run: {command: ['true'], junit: /no/such/file.xml}}]", Error, "results in"},
		{"socket", "steps: [{websocket: {url: /socket, send: [hello]}, assert: ['messages[0].echo == \"bye\"']}]", Fail, `"hello" against "bye"`},
		{"socket silent", "steps: [{websocket: {url: /socket, receive: 1}, timeout: 100ms}]", Error, "time limit"},
		{"socket missing", "steps: [{websocket: {url: /thing}}]", Error, "open WebSocket: bad status (200 OK)"},
		{"socket refused", "steps: [{websocket: {url: /nowhere}}]", Error, "bad status (404 Not Found)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(c.name, "repeat") {
				s.asked.Store(0)
			}
			want(t, s.run(t, "version: 1\n"+c.content+"\n"), c.verdict, c.message)
		})
	}
}

// TestEffects: a step that may not be run is an error, before anything is run.
func TestEffects(t *testing.T) {
	t.Parallel()
	calls := newShop(t, shopOptions{}).url
	for _, c := range []struct {
		step  string
		least Effect
	}{
		{"{request: GET /echo}", EffectRead},
		{"{request: HEAD /echo}", EffectRead},
		{"{request: POST /echo}", EffectWrite},
		{"{request: POST /echo, effect: read}", EffectRead},
		{"{request: POST /echo, effect: write-and-clean}", EffectWriteAndClean},
		{"{request: DELETE /echo}", EffectWrite},
		{"{run: ['true']}", EffectWrite},
		{"{run: ['true'], effect: read}", EffectRead},
		{"{wait: 1ms}", EffectRead},
		{"{websocket: {url: /socket, send: [a]}}", EffectWrite},
		{"{grpc: {method: shop.v1.Catalogue/GetBook, url: '" + calls + "'}}", EffectWrite},
		{"{grpc: {method: shop.v1.Catalogue/GetBook, url: '" + calls + "'}, effect: read}", EffectRead},
		{"{parallel: [{request: POST /echo}]}", EffectWrite},
		{"{foreach: [1], steps: [{request: POST /echo}]}", EffectWrite},
	} {
		for _, allow := range Effects() {
			s := newService(t)
			sc := load(t, "version: 1\nsteps: [{request: GET /thing}, "+c.step+"]\n")
			r := sc.Run(t.Context(), Options{BaseURL: s.URL, Getenv: environment, Allow: allow})
			refused := !allow.Allows(c.least)
			if refused {
				want(t, r, Error, "nothing was run")
				if s.seen() != "" || len(r.Steps) != 0 {
					t.Errorf("%s where %s is allowed: it ran %s", c.step, allow, s.seen())
				}
				if sc.Refused(allow) == nil {
					t.Errorf("%s where %s is allowed is not refused ahead", c.step, allow)
				}
				continue
			}
			want(t, r, Pass, "")
		}
	}
}
