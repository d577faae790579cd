package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// changes lists what differs between the service as it is and as it is wanted. Values of the
// environment are not shown: they may be secrets.
func changes(state cloud.State, want deploy.Service) []deploy.Change {
	var list []deploy.Change
	have := state.Services[want.Name].Spec
	primary, running := state.Primary(want.Name)
	if running {
		have.Workload, have.Version = primary.Revision.Workload, want.Version
		if primary.Revision.Version != want.Revision().Version {
			list = append(list, deploy.Change{Field: "version", From: primary.Revision.Version, To: want.Revision().Version, Deploys: true})
		}
	} else {
		list = append(list, deploy.Change{Field: "version", To: want.Revision().Version, Deploys: true})
	}
	a, b := flatten(have), flatten(want)
	for _, field := range slices.Sorted(maps.Keys(merge(a, b))) {
		if a[field] == b[field] {
			continue
		}
		workload := len(field) > 9 && field[:9] == "workload."
		list = append(list, deploy.Change{Field: field, From: shown(field, a[field]), To: shown(field, b[field]), Deploys: workload})
	}
	return list
}

func merge(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// shown hides the values of environment variables.
func shown(field, value string) string {
	if value != "" && len(field) > 13 && field[:13] == "workload.env." {
		return "(set)"
	}
	return value
}

// flatten gives each leaf of a service's JSON form a dotted name. The version is shown by itself.
func flatten(s deploy.Service) map[string]string {
	s.Version = ""
	data, err := json.Marshal(s)
	if err != nil { // numbers, strings and maps of them always marshal
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err) // it was marshalled just now
	}
	out := map[string]string{}
	flattenInto(out, "", tree)
	return out
}

func flattenInto(out map[string]string, name string, v any) {
	dot := name
	if dot != "" {
		dot += "."
	}
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flattenInto(out, dot+k, e)
		}
	case []any:
		for i, e := range v {
			flattenInto(out, fmt.Sprintf("%s[%d]", name, i), e)
		}
	case nil:
	default:
		out[name] = fmt.Sprint(v)
	}
}
