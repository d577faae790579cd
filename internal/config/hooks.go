package config

import (
	"fmt"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// defaultFunctionTimeout is of one invocation. Lambda's own default of 3 s is shorter than most verifications.
const defaultFunctionTimeout = time.Minute

func hookEvents() []string {
	var events []string
	for _, p := range deploy.LifecycleEvents(true) {
		if p.Hookable() {
			events = append(events, string(p))
		}
	}
	return events
}

func (d *decoder) hooks(to *map[deploy.Phase][]deploy.Hook) setter {
	return func(n *node, field string) {
		hooks := map[deploy.Phase][]deploy.Hook{}
		table := map[string]setter{}
		for _, event := range hookEvents() {
			table[event] = d.hookList(func(list []deploy.Hook) { hooks[deploy.Phase(event)] = list })
		}
		d.fields(n, field, table)
		*to = hooks
	}
}

func (d *decoder) hookList(set func([]deploy.Hook)) setter {
	return func(n *node, field string) {
		if n.kind != kindList {
			d.fault(field, "must be a list of hooks (lines that begin with \"- \"), not %s", n.kind)
			return
		}
		list := make([]deploy.Hook, len(n.items))
		for i, item := range n.items {
			d.hook(&list[i], item, fmt.Sprintf("%s[%d]", field, i))
		}
		set(list)
	}
}

func (d *decoder) hook(h *deploy.Hook, n *node, field string) {
	var command, task []string
	var function *deploy.Function
	var scenario deploy.Scenario
	d.fields(n, field, map[string]setter{
		"name":    d.hookName(&h.Name),
		"command": d.command(&command),
		"task":    d.command(&task),
		"function": func(n *node, field string) {
			function = &deploy.Function{Timeout: defaultFunctionTimeout}
			d.function(function, n, field)
		},
		"shadow":   d.shadow(&h.Shadow),
		"scenario": d.path(&scenario.File),
		"vars":     d.environment(&scenario.Vars),
		"allow":    choice(d, &scenario.Allow, "read", "write-and-clean", "write"),
		"timeout":  d.duration(&h.Timeout),
		"retries":  d.integer(&h.Retries),
		"env":      d.environment(&h.Env),
		"dir":      d.path(&h.Dir),
	})
	var kinds []string
	for _, k := range []deploy.HookKind{deploy.HookCommand, deploy.HookTask, deploy.HookFunction, deploy.HookScenario, deploy.HookShadow} {
		if _, ok := d.at[field+"."+string(k)]; ok {
			kinds = append(kinds, string(k))
			h.Kind = k
		}
	}
	if len(kinds) > 1 {
		d.fault(field, "is a %s at once; give each a hook of its own", strings.Join(kinds, " and a "))
		return
	}
	switch h.Kind {
	case deploy.HookCommand:
		h.Command = command
	case deploy.HookTask:
		h.Command = task
	case deploy.HookFunction:
		h.Function = function
		d.functionOnly(h, field)
	case deploy.HookScenario:
		h.Scenario = &scenario
	case deploy.HookShadow:
		d.shadowOnly(field)
	}
	d.scenarioOnly(h, field)
}

// functionOnly refuses settings of the other kinds that a function would silently ignore.
func (d *decoder) functionOnly(h *deploy.Hook, field string) {
	if h.Env != nil {
		d.fault(field+".env", "is not for a function; put env into function")
	}
	if h.Dir != "" {
		d.fault(field+".dir", "is not for a function; it runs in the folder of its code")
	}
}

func (d *decoder) hookName(to *string) setter {
	return func(n *node, field string) {
		d.word(to)(n, field)
		if !d.blamed(field) && !isHookName(*to) {
			d.fault(field, "%q is not a name: use 1 to 63 letters, digits, '.', '-' and '_'", *to)
		}
	}
}

func isHookName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return s != "" && len(s) <= 63 && strings.Trim(s, allowed) == ""
}

func (d *decoder) function(f *deploy.Function, n *node, field string) {
	d.fields(n, field, map[string]setter{
		"name":    d.functionName(&f.Name),
		"code":    d.path(&f.CodeDir),
		"handler": d.word(&f.Handler),
		"runtime": d.word(&f.Runtime),
		"timeout": d.duration(&f.Timeout),
		"memory":  d.mebibytes(&f.MemoryMB),
		"env":     d.environment(&f.Env),
	})
}

// functionName keeps the limits of Lambda's FunctionName.
func (d *decoder) functionName(to *string) setter {
	return func(n *node, field string) {
		d.hookName(to)(n, field)
		if strings.Contains(*to, ".") {
			d.fault(field, "%q is not the name of a function: it must not hold a '.'", *to)
		}
	}
}

// nameHooks gives a name to each hook that has none, by its kind and position, and refuses two hooks of one name: logs
// and verdicts are found by it.
func (d *decoder) nameHooks(s *deploy.Service) {
	taken := map[string]string{}
	eachHook(s, func(h *deploy.Hook, field string) {
		if h.Name == "" {
			return
		}
		if first, ok := taken[h.Name]; ok {
			d.fault(field+".name", "%q is also the name of %s", h.Name, first)
			return
		}
		taken[h.Name] = field
	})
	counts := map[string]int{}
	eachHook(s, func(h *deploy.Hook, field string) {
		kind := string(h.Kind)
		if strings.HasPrefix(field, "smoke") {
			kind = "smoke"
		}
		counts[kind]++
		for n := counts[kind]; h.Name == ""; n++ {
			name := fmt.Sprintf("%s-%d", kind, n)
			if _, ok := taken[name]; !ok {
				h.Name, taken[name] = name, field
			}
		}
		if h.Function != nil && h.Function.Name == "" {
			h.Function.Name = strings.ReplaceAll(s.Name+"-"+h.Name, ".", "-")
		}
	})
}

// eachHook visits every hook in the order of the lifecycle, then the smoke set.
func eachHook(s *deploy.Service, visit func(h *deploy.Hook, field string)) {
	for _, event := range hookEvents() {
		list := s.Hooks[deploy.Phase(event)]
		for i := range list {
			visit(&list[i], fmt.Sprintf("hooks.%s[%d]", event, i))
		}
	}
	for i := range s.Smoke {
		visit(&s.Smoke[i], fmt.Sprintf("smoke[%d]", i))
	}
}
