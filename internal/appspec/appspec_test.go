package appspec

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/deploy"
)

var update = flag.Bool("update", false, "rewrite the expected outcomes in testdata")

// TestParse_golden reads every file of testdata; what comes of it, the values or the faults, stands
// beside it.
func TestParse_golden(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"testdata/*.yaml", "testdata/*.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, faults := Parse(data)
			if bad := strings.HasPrefix(filepath.Base(file), "bad_"); bad != (len(faults) > 0) {
				t.Errorf("faults: %v", faults)
			}
			golden := file + ".golden"
			got := outcome(t, spec, faults)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got); if that is meant, run go test -update:\n%s", golden, diff)
			}
		})
	}
}

func outcome(t *testing.T, spec Spec, faults []Fault) string {
	t.Helper()
	if len(faults) > 0 {
		var b strings.Builder
		for _, f := range faults {
			b.WriteString(f.String() + "\n")
		}
		return b.String()
	}
	data, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data) + "\n"
}

// small is a file without faults; "%s" takes more.
const small = `{"version": "0.0", "Resources": [{"Shop": {"Type": "AWS::ECS::Service", "Properties": {
"TaskDefinition": "shop:7", "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80}%s}}}]%s}`

func TestParse_hookReferences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Hook{
		"my-function":         {Kind: deploy.HookFunction, Name: "my-function"},
		"CodeDeployHook_x":    {Kind: deploy.HookFunction, Name: "CodeDeployHook_x"},
		"my-function:live":    {Kind: deploy.HookFunction, Name: "my-function:live"},
		"my-function:$LATEST": {Kind: deploy.HookFunction, Name: "my-function:$LATEST"},
		"scenario":            {Kind: deploy.HookFunction, Name: "scenario"},
		"function:check":      {Kind: deploy.HookFunction, Name: "function:check"},
		"arn:aws:lambda:us-east-1:123456789012:function:check":          {Kind: deploy.HookFunction, Name: "arn:aws:lambda:us-east-1:123456789012:function:check"},
		"arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:7": {Kind: deploy.HookFunction, Name: "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:7"},
		"scenario:check-out":     {Kind: deploy.HookScenario, Name: "check-out"},
		"command: gate":          {Kind: deploy.HookCommand, Name: "gate"},
		"task:migrate.v2":        {Kind: deploy.HookTask, Name: "migrate.v2"},
		" padded ":               {Kind: deploy.HookFunction, Name: "padded"},
		"":                       {},
		"   ":                    {},
		"two words":              {},
		"scenario:":              {},
		"task:two words":         {},
		"arn:aws:s3:::x":         {},
		"check;rm":               {},
		strings.Repeat("f", 141): {},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			spec, faults := Parse(fmt.Appendf(nil, small, "", fmt.Sprintf(`, "Hooks": [{"AfterInstall": %q}]`, text)))
			if want == (Hook{}) {
				if len(faults) != 1 || faults[0].Field != "Hooks[0].AfterInstall" {
					t.Errorf("hook %+v, faults %v", spec.Hooks, faults)
				}
				return
			}
			want.Event = deploy.PhaseAfterInstall
			if got, ok := spec.Hook(deploy.PhaseAfterInstall); !ok || got != want || len(faults) > 0 {
				t.Errorf("hook %+v, faults %v", got, faults)
			}
		})
	}
}

// TestParse_events: exactly the hookable events take a hook, and they come out in their order.
func TestParse_events(t *testing.T) {
	t.Parallel()
	var entries []string
	for _, p := range slices.Backward(deploy.Phases()) {
		one := fmt.Sprintf(`{%q: "fn"}`, strings.ToUpper(string(p)))
		_, faults := Parse(fmt.Appendf(nil, small, "", `, "Hooks": [`+one+`]`))
		if p.Hookable() != (len(faults) == 0) {
			t.Errorf("%s: %v", p, faults)
		}
		if p.Hookable() {
			entries = append(entries, one)
		}
	}
	spec, faults := Parse(fmt.Appendf(nil, small, "", `, "Hooks": [`+strings.Join(entries, ",")+`]`))
	var got []deploy.Phase
	for _, h := range spec.Hooks {
		got = append(got, h.Event)
	}
	if len(faults) > 0 || !slices.Equal(got, hookEvents()) || len(got) != 5 {
		t.Errorf("events %v, faults %v", got, faults)
	}
	if _, ok := spec.Hook(deploy.PhaseInstall); ok {
		t.Error("Install has a hook")
	}
}

func TestParse_version(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		`0.0`: true, `0`: true, `0.00`: true, `"0.0"`: true, `'0.0'`: true, `-0.0`: true,
		`1.0`: false, `0.1`: false, `"0"`: false, `"latest"`: false, `null`: false, `[0.0]`: false, `true`: false, `.nan`: false, `1e999`: false,
	} {
		file := "version: " + text + "\nResources: [{S: {Type: AWS::ECS::Service, Properties: {TaskDefinition: shop, LoadBalancerInfo: {ContainerName: a, ContainerPort: 1}}}}]\n"
		if _, faults := Parse([]byte(file)); good != (len(faults) == 0) {
			t.Errorf("version %s: %v", text, faults)
		}
	}
}

// TestParse_taskDefinition: what is not one is refused, whatever CodePipeline would make of it.
func TestParse_taskDefinition(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"shop": true, "shop:7": true, "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7": true,
		"arn:aws:ecs:eu-west-1:123456789012:task-definition/shop": true,
		"<TASK_DEFINITION>": false, "<TASK_DEFINITION_2>": false, "shop:latest": false, "shop/7": false, "": false,
		"arn:aws:ecs:eu-west-1:123456789012:service/shop": false, "arn:aws:ecs:eu-west-1:12:task-definition/shop:7": false,
	} {
		file := strings.Replace(fmt.Sprintf(small, "", ""), "shop:7", text, 1)
		spec, faults := Parse([]byte(file))
		if good != (len(faults) == 0) || good && spec.TaskDefinition != text {
			t.Errorf("%q: %q, %v", text, spec.TaskDefinition, faults)
		}
		if text == "<TASK_DEFINITION>" && !strings.Contains(faults[0].Message, "CodePipeline") {
			t.Errorf("the placeholder is not named: %v", faults)
		}
	}
}

// TestParse_bounds: a file that would make the reader work without end is refused at once.
func TestParse_bounds(t *testing.T) {
	t.Parallel()
	bomb := "version: 0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		ref := fmt.Sprintf("*a%d,", i-1)
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(ref, 10), ","))
	}
	for name, tc := range map[string]struct{ file, want string }{
		"aliases of aliases": {bomb, "too many values"},
		"deep YAML":          {strings.Repeat("- ", 200) + "x", "too deep"},
		"deep JSON":          {`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "too deep"},
		"many in JSON":       {`{"a":[0` + strings.Repeat(",0", 30_000) + `]}`, "too many"},
		"big":                {strings.Repeat("#", maxSize+1), "the limit is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := Parse([]byte(tc.file))
			if !slices.ContainsFunc(faults, func(f Fault) bool { return strings.Contains(f.Message, tc.want) }) {
				t.Errorf("faults: %v", faults)
			}
		})
	}
}
