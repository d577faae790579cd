package app

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// changes lists what differs between the service as it is and as it is wanted; of a new one, what
// differs from the defaults. Values of the environment are not shown: they may be secrets.
func changes(state cloud.State, want deploy.Service) []deploy.Change {
	var list []deploy.Change
	known, exists := state.Services[want.Name]
	have := known.Spec
	if !exists {
		have = deploy.DefaultService()
	}
	version := want.Revision().Version
	if primary, running := state.Primary(want.Name); !running {
		list = append(list, deploy.Change{Field: "version", To: version, Deploys: true})
	} else {
		have.Workload = primary.Revision.Workload
		if primary.Revision.Version != version {
			list = append(list, deploy.Change{Field: "version", From: primary.Revision.Version, To: version, Deploys: true})
		}
	}
	a, b := leaves(have), leaves(want)
	for _, field := range slices.Sorted(maps.Keys(merge(a, b))) {
		if a[field] == b[field] || field == "name" || field == "version" || strings.HasSuffix(field, ".scenario.bundle") {
			continue
		}
		c := deploy.Change{Field: field, From: shown(field, a[field]), To: shown(field, b[field]), Deploys: strings.HasPrefix(field, "workload.")}
		if !exists {
			c.From = ""
		}
		list = append(list, c)
	}
	return list
}

func merge(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// shown hides the values of environment variables: of the workload, a hook or a function.
func shown(field, value string) string {
	if value != "" && (strings.Contains(field, ".env.") || strings.Contains(field, "].env.")) {
		return "(set)"
	}
	return value
}

// leaves gives each value of a service the dotted name that it has in JSON, as people read it.
func leaves(s deploy.Service) map[string]string {
	out := map[string]string{}
	leavesInto(out, "", reflect.ValueOf(s))
	return out
}

func leavesInto(out map[string]string, name string, v reflect.Value) {
	dot := name
	if dot != "" {
		dot += "."
	}
	switch v.Kind() { //nolint:exhaustive // every other kind is a leaf
	case reflect.Pointer:
		if !v.IsNil() {
			leavesInto(out, name, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			leavesInto(out, dot+tag, v.Field(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			leavesInto(out, dot+key.String(), v.MapIndex(key))
		}
	case reflect.Slice:
		if words, ok := reflect.TypeAssert[[]string](v); ok {
			put(out, name, commandLine(words))
			return
		}
		for i := range v.Len() {
			leavesInto(out, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	default:
		put(out, name, leaf(v))
	}
}

func put(out map[string]string, name, value string) {
	if value != "" {
		out[name] = value
	}
}

// leaf is a value as people write it; "" where it is not set.
func leaf(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	if d, ok := reflect.TypeAssert[time.Duration](v); ok {
		return shortDuration(d)
	}
	return fmt.Sprint(v.Interface())
}

// shortDuration writes 5m and not 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// commandLine joins words so that one can see where each ends.
func commandLine(words []string) string {
	shown := make([]string, len(words))
	for i, w := range words {
		if shown[i] = w; w == "" || strings.ContainsAny(w, " \t\n'\"") {
			shown[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(shown, " ")
}
