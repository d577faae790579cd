package appspec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
)

const definition = `{
  "family": "shop",
  "containerDefinitions": [
    {"name": "app", "image": "process:", "entryPoint": ["sh", "-c"], "command": ["exec x"], "portMappings": [{"containerPort": 80}, {"containerPort": 81.0}]},
    {"name": "side", "image": "repo/side:1", "essential": false}
  ]
}`

func TestParseTaskDefinition(t *testing.T) {
	t.Parallel()
	got, faults := ParseTaskDefinition([]byte(definition))
	want := TaskDefinition{Family: "shop", Containers: []Container{
		{Name: "app", Image: "process:", EntryPoint: []string{"sh", "-c"}, Command: []string{"exec x"}, Ports: []int{80, 81}},
		{Name: "side", Image: "repo/side:1"},
	}}
	if diff := cmp.Diff(want, got); diff != "" || len(faults) > 0 {
		t.Errorf("faults %v, (-want +got):\n%s", faults, diff)
	}
}

func TestParseTaskDefinition_faults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, want string }{
		"not JSON":     {"family: shop", "1:3: is not JSON: invalid character 'm' in literal false (expecting 'l')"},
		"a list":       {"[]", "1:1: the file is a list; it must be a map with family and containerDefinitions"},
		"the answer":   {`{"taskDefinition": {"family": "x"}}`, "1:20: taskDefinition: is the answer of describe-task-definition; save what is in it, for example with --query taskDefinition"},
		"nothing":      {`{}`, "1:1: family: is missing; write for example \"shop\"\n1:1: containerDefinitions: is missing; write for example [{\"name\": \"app\", \"image\": \"…\"}]"},
		"family":       {strings.Replace(definition, `"shop"`, `"a shop"`, 1), `2:13: family: "a shop" has other characters than letters, digits, - and _, or more than 255`},
		"no container": {`{"family": "x", "containerDefinitions": []}`, "1:41: containerDefinitions: is empty; a task has at least one container"},
		"twice":        {strings.Replace(definition, `"side"`, `"app"`, 1), `5:14: containerDefinitions[1].name: "app" is the name of another container already`},
		"unessential":  {`{"family": "x", "containerDefinitions": [{"name": "a", "image": "b", "essential": false}]}`, "1:41: containerDefinitions: has no essential container; at least one must be"},
		"kinds": {
			`{"family": "x", "containerDefinitions": [{"name": "a", "image": "b", "essential": 1, "portMappings": [{"containerPort": "x"}], "command": "x"}, 7]}`,
			"1:41: containerDefinitions: has no essential container; at least one must be\n" +
				"1:83: containerDefinitions[0].essential: is a number; it must be true or false\n" +
				"1:121: containerDefinitions[0].portMappings[0].containerPort: must be a whole number between 0 and 65535\n" +
				"1:139: containerDefinitions[0].command: is a text; it must be a list, for example [\"sh\", \"-c\"]\n" +
				"1:145: containerDefinitions[1]: is a number; it must be a map, for example {\"name\": \"app\", \"image\": \"…\"}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := ParseTaskDefinition([]byte(tc.file))
			if diff := cmp.Diff(tc.want, lines(faults)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func lines(faults []Fault) string {
	out := make([]string, len(faults))
	for i, f := range faults {
		out[i] = f.String()
	}
	return strings.Join(out, "\n")
}

const template = `version: 0.0
Resources:
  - Shop:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION> # <COMMENT>
        LoadBalancerInfo: {ContainerName: app, ContainerPort: 80}
Hooks:
  - AfterInstall: check
  - afterAllowTraffic: "last"
`

func TestFits(t *testing.T) {
	t.Parallel()
	def, _ := ParseTaskDefinition([]byte(definition))
	for change, want := range map[string]string{
		"ContainerName: app":   "",
		"ContainerName: other": `7:43: Resources[0].Shop.Properties.LoadBalancerInfo.ContainerName: "other" is no container of the task definition; it has ["app" "side"]`,
		"ContainerPort: 81":    "",
		"ContainerPort: 8080":  `7:63: Resources[0].Shop.Properties.LoadBalancerInfo.ContainerPort: container "app" of the task definition does not map port 8080; its portMappings have [80 81]`,
	} {
		key, _, _ := strings.Cut(change, ":")
		old := map[string]string{"ContainerName": "ContainerName: app", "ContainerPort": "ContainerPort: 80"}[key]
		file := strings.Replace(template, old, change, 1)
		spec, open, faults := ParseTemplate([]byte(file))
		if len(faults) > 0 || !open {
			t.Fatalf("%s: open %v, %v", change, open, faults)
		}
		if diff := cmp.Diff(want, lines(def.Fits(spec, []byte(file)))); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", change, diff)
		}
	}
}

func TestParseTemplate(t *testing.T) {
	t.Parallel()
	spec, open, faults := ParseTemplate([]byte(template))
	if len(faults) > 0 || !open {
		t.Fatalf("open %v, faults %v", open, faults)
	}
	if line, column := TaskDefinitionAt([]byte(template), spec); line != 6 || column != 25 {
		t.Errorf("task definition at %d:%d", line, column)
	}
	if line, column := HookAt([]byte(template), deploy.PhaseAfterAllowTraffic); line != 10 || column != 24 {
		t.Errorf("hook at %d:%d", line, column)
	}
	if line, column := HookAt([]byte(template), deploy.PhaseBeforeInstall); line != 1 || column != 1 {
		t.Errorf("no hook at %d:%d", line, column)
	}
	found := Placeholders([]byte(template))
	if len(found) != 1 || found[0].Name != TaskDefinitionPlaceholder || found[0].Fault.Line != 6 || found[0].Fault.Column != 25 {
		t.Errorf("placeholders %+v: one in a comment is none", found)
	}
	const arn = "arn:aws:ecs:us-east-1:000000000000:task-definition/shop:7"
	filled, faults := Parse(Fill([]byte(template), map[string]string{TaskDefinitionPlaceholder: arn}))
	if len(faults) > 0 || filled.TaskDefinition != arn {
		t.Errorf("%q, %v", filled.TaskDefinition, faults)
	}
	if _, open, _ := ParseTemplate([]byte(strings.Replace(template, "<TASK_DEFINITION>", "shop:7", 1))); open {
		t.Error("a file that names its task definition is open")
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	got := Fill([]byte(`"<A1> <B> <a> <A1>"`), map[string]string{"A1": "<B>", "a": "x"})
	if want := `"<B> <B> <a> <B>"`; string(got) != want {
		t.Errorf("%s, want %s: what was filled in is not filled again, and only capitals count", got, want)
	}
}

// FuzzParseTaskDefinition: nothing panics, and what has no fault is whole.
func FuzzParseTaskDefinition(f *testing.F) {
	f.Add([]byte(definition))
	f.Add([]byte(`{"family":"x","containerDefinitions":[{"name":"<A>","image":null,"portMappings":[{}]}]}`))
	f.Add([]byte(`{"taskDefinition":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		def, faults := ParseTaskDefinition(data)
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %+v", fault)
			}
		}
		if len(faults) == 0 && (def.Family == "" || len(def.Containers) == 0 || def.Containers[0].Name == "") {
			t.Errorf("without faults, but not whole: %+v", def)
		}
		for _, p := range Placeholders(data) {
			if p.Fault.Line < 1 || p.Fault.Column < 1 || !strings.Contains(string(data), "<") {
				t.Errorf("placeholder %+v", p)
			}
		}
		spec, _, _ := ParseTemplate(data)
		HookAt(data, deploy.PhaseAfterInstall)
		TaskDefinitionAt(data, spec)
		def.Fits(spec, data)
	})
}
