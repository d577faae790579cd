package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNode_styles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.write("esm/package.json", `{"type":"module"}`)
	tests := []struct{ name, file, code, payload string }{
		{"module by package.json", "esm/j.js", `import os from 'node:os'; export const handler = async () => typeof os.EOL;`, `"string"`},
		{"async", "a.js", `exports.handler = async (e) => ({ got: e.x });`, `{"got":7}`},
		{"callback", "b.js", `exports.handler = (e, c, cb) => { setTimeout(() => cb(null, e.x), 10); };`, `7`},
		{"module", "c.mjs", `import fs from 'node:fs'; const start = await Promise.resolve(5); export const handler = async (e) => e.x + start + typeof fs.statSync;`, `"12function"`},
		{"succeed", "d.cjs", `exports.handler = (e, c) => c.succeed('ok');`, `"ok"`},
		{"undefined", "e.js", `exports.handler = async () => {};`, `null`},
		{"nothing left to do", "f.js", `exports.handler = () => {};`, `null`},
		{"nested", "g.js", `exports.handler = async function () { return this === undefined; };`, ``},
		{"waits for the event loop", "h.js", `let late = 'early'; exports.handler = (e, c, cb) => { setTimeout(() => { require('node:fs').writeFileSync('$F', 'late'); }, 200); cb(null, 1); };`, `1`},
		{
			"does not wait", "i.js",
			`exports.handler = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); cb(null, 2); };`, `2`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.run(w.node(tt.file, tt.code), `{"x":7}`)
			want(t, r, StateSucceeded, "", "")
			if tt.payload != "" && string(r.Payload) != tt.payload {
				t.Errorf("payload %s, want %s", r.Payload, tt.payload)
			}
			if tt.name == "waits for the event loop" && w.file() != "late" {
				t.Error("answered before the event loop was empty")
			}
		})
	}
}

func TestNode_contextAndLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.node("index.js", `
let n = 0;
exports.handler = async (event, c) => {
  n++;
  console.log('hello %s\nsecond', event.who);
  console.error('bad');
  return { n, id: c.awsRequestId, arn: c.invokedFunctionArn, mem: c.memoryLimitInMB, stream: c.logStreamName, left: c.getRemainingTimeInMillis() > 1000 };
};`)
	r := w.run(f, `{"who":"you"}`)
	want(t, r, StateSucceeded, "", "")
	var got map[string]any
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got["n"] != 1.0 || got["id"] != r.ID || got["arn"] != f.ARN() || got["mem"] != "256" || got["stream"] != r.LogStream || got["left"] != true {
		t.Errorf("got %v", got)
	}
	log := w.logOf(r)
	wantOrder(t, log, "START RequestId: "+r.ID, "\t"+r.ID+"\tINFO\thello you\nsecond\n", "\t"+r.ID+"\tERROR\tbad\n", "END RequestId: "+r.ID, "REPORT", "Init Duration")
	if strings.Contains(log, "greengate:end") {
		t.Errorf("marks in the log: %q", log)
	}
	if r := w.run(f, `{}`); r.ColdStart || !strings.HasPrefix(string(r.Payload), `{"n":2,`) {
		t.Errorf("second: %s, cold %t", r.Payload, r.ColdStart)
	}
}

func TestNode_failures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tests := []struct{ file, code, errorType, message string }{
		{"throws.js", `exports.handler = () => { throw new TypeError('bad thing'); };`, "TypeError", "bad thing"},
		{"rejects.js", `exports.handler = async () => { throw new Error('no'); };`, "Error", "no"},
		{"callback.js", `exports.handler = (e, c, cb) => cb(new RangeError('far'));`, "RangeError", "far"},
		{"string.js", `exports.handler = (e, c, cb) => cb('just text');`, "string", "just text"},
		{"uncaught.js", `exports.handler = async () => { setTimeout(() => { throw new Error('later'); }, 5); await new Promise((r) => setTimeout(r, 60000)); };`, "Error", "later"},
		{"unhandled.js", `exports.handler = async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 60000)); };`, "Runtime.UnhandledPromiseRejection", "lost"},
		{"exits.js", `exports.handler = async () => { process.exit(5); };`, ErrorTypeExit, "exit status 5"},
		{"missing.js", `exports.other = 1;`, "Runtime.HandlerNotFound", "missing.handler is undefined or not exported"},
		{"nofunction.js", `exports.handler = 1;`, "Runtime.HandlerNotFound", "is not a function"},
		{"requires.js", `require('no-such-package');`, "Runtime.ImportModuleError", "no-such-package"},
		{"syntax.js", `exports.handler = (;`, "Runtime.UserCodeSyntaxError", "SyntaxError"},
		{"init.js", `throw new Error('at start');`, "Error", "at start"},
		{"initlater.mjs", `await Promise.reject(new Error('top level')); export const handler = 1;`, "Error", "top level"},
		{"bigint.js", `exports.handler = async () => 1n;`, "Runtime.MarshalError", "BigInt"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			r := w.run(w.node(tt.file, tt.code), "{}")
			want(t, r, StateFailed, tt.errorType, tt.message)
			wantOrder(t, w.logOf(r), "START RequestId: "+r.ID, "END RequestId: "+r.ID, "REPORT RequestId: "+r.ID)
			if tt.file == "throws.js" && (len(r.StackTrace) == 0 || !strings.Contains(strings.Join(r.StackTrace, "\n"), "throws.js:1")) {
				t.Errorf("stack trace: %q", r.StackTrace)
			}
		})
	}
	f := w.node("absent.js", "")
	f.Handler = "elsewhere.handler"
	want(t, w.run(f, "{}"), StateFailed, "Runtime.ImportModuleError", "elsewhere")
	f.Handler = "../elsewhere.handler"
	want(t, w.run(f, "{}"), StateFailed, "Runtime.MalformedHandlerName", "Bad handler")
}
