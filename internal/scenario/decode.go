package scenario

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// allowed are the keys that a step of a kind may have beside the kind itself and name, when.
func allowed() map[stepKind][]string {
	return map[stepKind][]string{
		stepRequest: {
			"query", "headers", "json", "form", "multipart", "body", "file", "auth", "redirects", "capture", "assert", "schema",
			"retry", "repeat", "effect", "timeout",
		},
		stepRun:       {"capture", "assert", "retry", "effect", "timeout"},
		stepWait:      {},
		stepUse:       {"vars", "capture"},
		stepWebSocket: {"headers", "auth", "capture", "assert", "retry", "effect", "timeout"},
		stepGRPC: {
			"json", "headers", "auth", "capture", "assert", "schema", "retry", "repeat", "effect", "timeout",
		},
		stepParallel: {},
		stepForeach:  {"steps"},
	}
}

// list reads steps in their order; each knows what those before it have captured.
func (d *decoder) list(n *node, names *env, section string) []*step {
	var steps []*step
	for _, item := range children(n) {
		if item.kind != kindMapping {
			continue
		}
		if st := d.step(item, names, section); st != nil {
			steps = append(steps, st)
		}
	}
	return steps
}

func (d *decoder) step(n *node, names *env, section string) *step {
	var kinds []string
	for _, k := range stepKinds() {
		if n.child(string(k)) != nil {
			kinds = append(kinds, string(k))
		}
	}
	switch {
	case len(kinds) == 0:
		if !d.blamed {
			d.fault(n.at, "the step does nothing; give it one of request, run, wait, use, websocket, grpc, parallel, foreach")
		}
		return nil
	case len(kinds) > 1:
		d.fault(n.at, "the step is %s at once; give each a step of its own", strings.Join(kinds, " and "))
		return nil
	}
	st := &step{
		name: text(n.child("name")), kind: stepKind(kinds[0]), file: d.file, at: n.at, repeat: d.number(n.child("repeat"), 1),
		timeout: d.duration(n.child("timeout"), defaultStepTimeout),
	}
	for _, e := range n.entries {
		if e.key != "name" && e.key != "when" && e.key != kinds[0] && !slices.Contains(allowed()[st.kind], e.key) && known(e.key) {
			d.fault(e.at, "%q is not for a step with %s", e.key, kinds[0])
		}
	}
	d.when(st, n.child("when"), *names, section)
	d.retrying(st, n.child("retry"))
	d.content(st, n, names, section)
	d.effect(st, n.child("effect"), section)
	if st.name == "" {
		st.name = defaultName(st, n)
	}
	d.remember(st, n, names)
	return st
}

// known reports whether a step of any kind has the key: what none has is the schema's to say.
func known(key string) bool {
	for kind, keys := range allowed() {
		if key == string(kind) || slices.Contains(keys, key) {
			return true
		}
	}
	return false
}

func defaultName(st *step, n *node) string {
	value := n.child(string(st.kind))
	switch {
	case value.kind == kindText:
		if st.kind == stepRequest {
			return withoutUser(value.text)
		}
		return string(st.kind) + " " + value.text
	case st.kind == stepRun && len(children(value)) > 0:
		return "run " + value.items[0].text
	case st.kind == stepWebSocket:
		return "websocket " + withoutUser(text(value.child("url")))
	case st.kind == stepGRPC:
		return "grpc " + text(value.child("method"))
	}
	return string(st.kind)
}

// withoutUser takes user and password out of an address: a name is shown.
func withoutUser(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	end := strings.IndexAny(rest+"/", "/?#")
	at := strings.LastIndexByte(rest[:end], '@')
	if !ok || at < 0 {
		return s
	}
	return scheme + "://" + rest[at+1:]
}

func (d *decoder) when(st *step, n *node, names env, section string) {
	if n == nil || n.kind != kindText {
		return
	}
	if section == "steps" {
		d.fault(n.at, "when is for setup and cleanup: a step that is left out proves nothing, so a scenario with one could not pass")
		return
	}
	st.when = d.expression(strings.TrimSpace(n.text), n.at, names.at(before), boolResult)
}

func (d *decoder) retrying(st *step, n *node) {
	if n == nil || n.kind != kindMapping {
		return
	}
	st.retry = &retry{
		timeout:  d.duration(n.child("timeout"), retryTimeout),
		interval: d.duration(n.child("interval"), retryInterval),
		attempts: d.number(n.child("attempts"), 0),
	}
}

// content reads what is particular to the kind.
func (d *decoder) content(st *step, n *node, names *env, section string) {
	value := n.child(string(st.kind))
	after := names.at(before)
	switch st.kind {
	case stepRequest:
		st.request = d.request(value, n, *names)
		st.schema = d.answerSchema(n.child("schema"))
		after = names.at(afterHTTP)
	case stepRun:
		st.run = d.command(value, *names)
		after = names.at(afterRun)
	case stepWebSocket:
		st.request = &request{method: http.MethodGet}
		d.headersAndAuth(st.request, n, *names)
		st.websocket = d.conversation(value, *names)
		after = names.at(afterTalk)
	case stepGRPC:
		st.rpc, st.request = d.call(value, n, *names)
		st.schema = d.answerSchema(n.child("schema"))
		after = names.at(afterCall)
	case stepWait:
		st.wait = d.duration(value, 0)
	case stepUse:
		var inner env
		st.use, inner = d.include(value, n.child("vars"), *names, section)
		after = inner.at(afterSteps)
	case stepParallel:
		all := names.clone()
		for _, item := range children(value) {
			own := names.clone() // what runs at the same time has captured nothing yet
			st.children = append(st.children, d.list(&node{items: []*node{item}}, &own, section)...)
			all.merge(own)
		}
		*names = all
	case stepForeach:
		d.loop(st, value, n, *names, section)
	}
	st.asserts = d.implicit(st, d.asserts(children(n.child("assert")), after), *names)
	st.captures = d.captures(n.child("capture"), after)
}

func (d *decoder) loop(st *step, value, n *node, names env, section string) {
	st.over = d.template(value, names.at(before))
	if value.kind == kindText && !strings.Contains(value.text, exprOpen) {
		if e := d.expression(strings.TrimSpace(value.text), value.at, names.at(before), anyResult); e != nil {
			st.over.text = []segment{{expr: e}}
		}
	}
	inner := names.clone()
	inner.loop = true
	st.children = d.list(n.child("steps"), &inner, section)
	if n.child("steps") == nil {
		d.fault(n.at, "a step with foreach needs steps")
	}
}

func (d *decoder) asserts(items []*node, names env) []*assertion {
	var all []*assertion
	for _, item := range items {
		if item.kind != kindText || item.text == "" {
			continue
		}
		if a := d.assertion(item, names); a != nil {
			all = append(all, a)
		}
	}
	return all
}

// implicit adds what must hold where no assertion speaks of it.
func (d *decoder) implicit(st *step, asserts []*assertion, names env) []*assertion {
	name, source, stage := "", "", before
	switch st.kind {
	case stepRequest:
		name, source, stage = "status", "status < 400", afterHTTP
		if st.request != nil && st.request.redirects > 0 {
			source = "status < 300" // a redirect that is not followed any more is not where they lead
		}
	case stepRun:
		name, source, stage = "exit_code", "exit_code == 0", afterRun
	case stepGRPC:
		name, source, stage = "status", `status == "OK"`, afterCall
	case stepWait, stepUse, stepWebSocket, stepParallel, stepForeach:
		return asserts
	}
	for _, a := range asserts {
		if a.uses[name] || (st.kind == stepGRPC && a.uses["code"]) {
			return asserts
		}
	}
	implied := d.assertion(&node{kind: kindText, text: source, at: st.at}, names.at(stage))
	return append([]*assertion{implied}, asserts...)
}

func (d *decoder) captures(n *node, names env) []capture {
	var all []capture
	for _, e := range entries(n) {
		value, secret := e.value, false
		if value.kind == kindMapping {
			if s := value.child("secret"); s != nil {
				secret = s.value == true
			}
			value = value.child("value")
		}
		if value == nil || value.kind != kindText || value.text == "" {
			continue
		}
		if x := d.expression(strings.TrimSpace(value.text), value.at, names, anyResult); x != nil {
			all = append(all, capture{e.key, x, secret})
		}
	}
	return all
}

// remember makes the captured names of a step known to those after it.
func (d *decoder) remember(st *step, n *node, names *env) {
	if n.child("capture") == nil {
		return
	}
	if n.child("name") == nil {
		d.fault(n.child("capture").at, "a step that captures needs a name: the values are found under it")
		return
	}
	if _, double := names.steps[st.name]; double {
		d.fault(n.child("name").at, "an earlier step that captures is also called %q", st.name)
	}
	names.steps[st.name] = []string{}
	for _, e := range entries(n.child("capture")) {
		names.steps[st.name] = append(names.steps[st.name], e.key)
	}
}

func (e env) clone() env {
	steps := make(map[string][]string, len(e.steps))
	maps.Copy(steps, e.steps)
	e.steps = steps
	return e
}

func (e env) merge(other env) {
	maps.Copy(e.steps, other.steps)
}

func (d *decoder) effect(st *step, n *node, section string) {
	if n != nil {
		st.effect = Effect(n.text)
		return
	}
	reads := st.kind == stepWait || (st.kind == stepRequest && st.request != nil && st.request.reads())
	switch {
	case reads:
		st.effect = EffectRead
	case section == "steps":
		st.effect = EffectWrite
	default:
		st.effect = EffectWriteAndClean
	}
}

// include reads another file; its steps become those of this one.
func (d *decoder) include(n, given *node, names env, section string) (*inclusion, env) {
	in := &inclusion{}
	inner := env{steps: map[string][]string{}}
	content, name := d.beside(n)
	switch {
	case content == nil:
		return in, inner
	case slices.Contains(d.outer, path.Clean(name)):
		d.fault(n.at, "%s includes itself", n.text)
		return in, inner
	case len(d.outer) >= maxIncludes:
		d.fault(n.at, "files include files more than %d deep", maxIncludes)
		return in, inner
	}
	d.faults = append(d.faults, d.loader.parse(path.Clean(name), func(own *decoder, tree *node) {
		inner = own.names(&in.program, tree)
		for _, key := range []string{"setup", "cleanup", "tls", "headers", "expect_release", "compare", "timeout", "cookies"} {
			if tree.child(key) != nil {
				d.fault(n.at, "%s has %s, which is for the outermost file alone", n.text, key)
			}
		}
		in.steps = own.list(tree.child("steps"), &inner, section)
	}, d.outer...)...)
	d.given(in, n, given, names)
	return in, inner
}

// given reads the values that the including step has for the vars of the file.
func (d *decoder) given(in *inclusion, n, given *node, names env) {
	var known []string
	for _, v := range in.vars {
		known = append(known, v.name)
		if v.required && given.child(v.name) == nil {
			d.fault(n.at, "%s needs a value for the var %q", n.text, v.name)
		}
	}
	for _, e := range entries(given) {
		if !slices.Contains(known, e.key) {
			d.fault(e.at, "%s has no var %q%s", n.text, e.key, didYouMean(e.key, known))
			continue
		}
		in.given = append(in.given, field{e.key, d.template(e.value, names.at(before))})
	}
}
