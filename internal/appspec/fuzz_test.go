package appspec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzParse: nothing panics, faults lie inside the file and in its order, and what has no fault is
// whole and reads the same after it was written again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	seeds := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") || filepath.Ext(file) == "" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		seeds++
	}
	if seeds < 10 {
		f.Fatalf("only %d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, faults := Parse(data)
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2 // a separator of YAML's own counts less
		last := Fault{}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v", fault)
			}
			if fault.Line < last.Line || fault.Line == last.Line && fault.Column < last.Column {
				t.Errorf("fault %v after %v", fault, last)
			}
			if fault.Line > lines+strings.Count(string(data), "\u0085")+strings.Count(string(data), "\u2028")+strings.Count(string(data), "\u2029") {
				t.Errorf("fault %v in a file of %d lines", fault, lines)
			}
			last = fault
		}
		if len(faults) > 0 {
			return
		}
		if spec.TaskDefinition == "" || spec.ContainerName == "" || spec.ContainerPort < 1 {
			t.Errorf("without faults, but not whole: %+v", spec)
		}
		again, faults := Parse(write(t, spec))
		if diff := cmp.Diff(spec, again, cmpopts.EquateEmpty()); diff != "" || len(faults) > 0 {
			t.Errorf("reads differently after it was written: %v\n%s", faults, diff)
		}
	})
}

// write makes an AppSpec file of a spec.
func write(t *testing.T, s Spec) []byte {
	t.Helper()
	type object map[string]any
	properties := object{
		"TaskDefinition": s.TaskDefinition, "PlatformVersion": nil,
		"LoadBalancerInfo": object{"ContainerName": s.ContainerName, "ContainerPort": s.ContainerPort},
	}
	if s.PlatformVersion != "" {
		properties["PlatformVersion"] = s.PlatformVersion
	}
	if n := s.Network; n != nil {
		public := map[bool]string{true: "ENABLED", false: "DISABLED"}[n.AssignPublicIP]
		properties["NetworkConfiguration"] = object{"AwsvpcConfiguration": object{
			"Subnets": n.Subnets, "SecurityGroups": n.SecurityGroups, "AssignPublicIp": public,
		}}
	}
	var strategy []object
	for _, c := range s.CapacityProviders {
		strategy = append(strategy, object{"CapacityProvider": c.Name, "Base": c.Base, "Weight": c.Weight})
	}
	properties["CapacityProviderStrategy"] = strategy
	var hooks []object
	for _, h := range s.Hooks {
		value := h.Name
		if h.Kind != "function" {
			value = string(h.Kind) + ":" + h.Name
		}
		hooks = append(hooks, object{string(h.Event): value})
	}
	data, err := json.Marshal(object{
		"version": 0.0, "Hooks": hooks,
		"Resources": []object{{s.Resource: object{"Type": serviceType, "Properties": properties}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
