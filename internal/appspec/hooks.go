package appspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"greengate/internal/deploy"
)

// hooks reads a list of maps with one key each. AfterAllowTestTraffic is allowed also where the
// service has no test listener: then the event does not happen and its hook is ignored.
func (p *parser) hooks(v value) {
	const example = `- AfterAllowTestTraffic: "my-function"`
	if v.absent() || !p.is(v, kindList, v.at, example) {
		return
	}
	for i, item := range v.items {
		one := value{item, fmt.Sprintf("%s[%d]", v.field, i)}
		if !p.is(one, kindMap, item.at, example) {
			continue
		}
		if len(item.entries) != 1 {
			p.fault(item.at, one.field, "holds %d events; each entry holds exactly one, for example %s", len(item.entries), example)
			continue
		}
		p.hook(item.entries[0], one.field)
	}
	events := hookEvents()
	slices.SortStableFunc(p.spec.Hooks, func(a, b Hook) int {
		return slices.Index(events, a.Event) - slices.Index(events, b.Event)
	})
}

func (p *parser) hook(e entry, parent string) {
	field, events := join(parent, e.key), hookEvents()
	i := slices.IndexFunc(events, func(event deploy.Phase) bool { return strings.EqualFold(string(event), e.key) })
	if i < 0 {
		p.fault(e.at, field, "is not an event that takes a hook; those are %s", eventNames(events))
		return
	}
	text := p.text(value{e.value, field}, e.at, `"my-function"`)
	if text == "" {
		return
	}
	if _, twice := p.spec.Hook(events[i]); twice {
		p.fault(e.at, field, "has a hook already; an event runs one")
		return
	}
	kind, name, why := hookReference(text)
	if why != "" {
		p.fault(e.value.at, field, "%s", why)
		return
	}
	p.spec.Hooks = append(p.spec.Hooks, Hook{Event: events[i], Kind: kind, Name: name})
}

func eventNames(events []deploy.Phase) string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = string(e)
	}
	return strings.Join(names, ", ")
}

// functionForm is what Lambda's Invoke takes as FunctionName (its API reference): a name, a partial or
// a full ARN, with or without an alias or version.
var functionForm = regexp.MustCompile(
	`^(arn:aws[a-zA-Z-]*:lambda:[a-z]{2}(-[a-z]+)+-\d:\d{12}:function:|(\d{12}:)?function:|\d{12}:function:)?[a-zA-Z0-9_-]{1,140}(:(\$LATEST|[a-zA-Z0-9_-]{1,128}))?$`)

// hookReference splits a hook's value into kind and name, or says why it is neither.
func hookReference(text string) (kind deploy.HookKind, name, why string) {
	for _, kind := range []deploy.HookKind{deploy.HookScenario, deploy.HookCommand, deploy.HookTask} {
		name, ok := strings.CutPrefix(text, string(kind)+":")
		if !ok {
			continue
		}
		if name = strings.TrimSpace(name); name == "" || len(name) > 128 || strings.ContainsAny(name, " \t\r\n") {
			return "", "", fmt.Sprintf("%q names no %s; write %s:NAME with a name that is registered with the service", text, kind, kind)
		}
		return kind, name, ""
	}
	if !functionForm.MatchString(text) {
		return "", "", fmt.Sprintf("%q is not a function; write its name or ARN, or scenario:NAME, command:NAME, task:NAME", text)
	}
	return deploy.HookFunction, text, ""
}
